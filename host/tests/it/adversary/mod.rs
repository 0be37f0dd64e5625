//! Plugins and clients that attack the host. Each attack was seen to work once.
//! Now it harms only the plugin or the client that attacks.

mod answers;
mod compile;
mod connections;
mod disk;
mod files;
mod guests;
mod live;
mod logs;
mod memory;
mod operator_api;
mod operator_listener;
mod origin;
mod shutdown;
mod start;
mod uploads;

pub(crate) use connections::with_hostile_guest;
pub(crate) use guests::with_module;

use crate::support::{Client, Host, PluginFile, Reply, Setup, guest};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};

/// Settings of a host with the good guest.
fn good_setup() -> Setup {
    Setup::without_components().toml(&format!("[[plugin]]\npath = {:?}", guest("hello")))
}

/// A host with the good guest, and with the hostile guest as an uploaded plugin
/// without any right beyond its own store.
async fn attacked(setup: Setup) -> Host {
    let host = setup.start().await;
    host.operator().allow("hostile", json!({ "grants": ["store"] })).await;
    host.operator().deploy("hostile", PluginFile::read(&guest("hostile")).bytes()).await;
    host
}

impl Client {
    /// Lets the hostile guest answer as the script says.
    async fn scripted(&self, script: Value) -> Reply {
        self.post("/hostile/answer", json!({ "script": script })).await
    }
}

impl Host {
    /// The sum of a metric over all series of a component.
    async fn counted(&self, metric: &str, component: &str) -> f64 {
        let label = format!("component={component:?}");
        let text = self.outsider().get("/metrics").await.text;
        let lines = text.lines().filter(|line| line.starts_with(metric) && line.contains(&label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// The resident memory of the process, in MiB.
    pub(crate) async fn resident_mib(&self) -> f64 {
        let text = self.outsider().get("/metrics").await.text;
        let line = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")).unwrap();
        line.parse::<f64>().unwrap() / f64::from(1 << 20)
    }

    /// A client that has sent these bytes, and does not read.
    pub(crate) async fn deaf_client(&self, bytes: &[u8]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        // Little fits into the buffers of the kernel.
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let mut stream = socket.connect(self.address().parse().unwrap()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }
}

/// The bytes of a request for a scripted answer.
pub(crate) fn scripted_request(script: &Value) -> Vec<u8> {
    let body = json!({ "script": script }).to_string();
    format!("POST /hostile/answer HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into()
}
