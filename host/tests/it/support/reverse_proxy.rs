//! nginx and HAProxy in front of hosts, with the files of `deploy/`.

use super::{Client, Host, PATIENCE, eventually};
use reqwest::ClientBuilder;
use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, ChildStdin, Command},
};

/// The name of the site. Clients and browsers of the tests find it at the loopback address.
pub(crate) const SITE: &str = "shop.example";

/// A shell that starts the proxy and kills it when the shell's input closes. The
/// input closes with the process of the tests, even when that is killed.
const KEEPER: &str = r#""$@" & proxy=$!; cat >/dev/null; kill -9 $proxy 2>/dev/null; wait $proxy"#;

/// The settings of Debian's `nginx.conf`, in one process.
const NGINX: &str = "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\n\
                     events { worker_connections 768; }\n\
                     http {\nsendfile on;\ntcp_nopush on;\ntypes_hash_max_size 2048;\ngzip on;\naccess_log off;\n\
                     client_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n\
                     uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\ninclude site.conf;\n}\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
}

impl Kind {
    pub(crate) const BOTH: [Self; 2] = [Self::Nginx, Self::Haproxy];

    fn file(self) -> &'static str {
        match self {
            Self::Nginx => "nginx/ticketing.conf",
            Self::Haproxy => "haproxy/haproxy.cfg",
        }
    }

    pub(crate) fn program(self) -> PathBuf {
        let name = match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        };
        // Debian's folder for servers is not in the path of every user.
        let folders = env::var_os("PATH").unwrap_or_default();
        let mut folders = env::split_paths(&folders).chain([PathBuf::from("/usr/sbin")]);
        let file = folders.find_map(|folder| Some(folder.join(name)).filter(|file| file.is_file()));
        file.unwrap_or_else(|| panic!("{name} is not installed: apt-get install nginx haproxy"))
    }
}

/// A server behind a proxy.
#[derive(Clone)]
pub(crate) struct Upstream {
    address: String,
    /// The listener that answers `/readyz`.
    operators: String,
}

impl From<&Host> for Upstream {
    fn from(host: &Host) -> Self {
        Self { address: host.address().to_owned(), operators: host.operators_address().to_owned() }
    }
}

/// A proxy that runs until this value is dropped.
pub(crate) struct ReverseProxy {
    kind: Kind,
    http: u16,
    https: u16,
    upstreams: [Upstream; 2],
    folder: TempDir,
    _keeper: Child,
    _input: ChildStdin,
}

impl ReverseProxy {
    pub(crate) async fn before(kind: Kind, host: &Host) -> Self {
        Self::with(kind, [host.into(), host.into()], |file| file).await
    }

    pub(crate) async fn before_both(kind: Kind, hosts: [&Host; 2]) -> Self {
        Self::with(kind, hosts.map(Upstream::from), |file| file).await
    }

    /// Starts a proxy before another one.
    pub(crate) async fn before_proxy(kind: Kind, inner: &Self) -> Self {
        let inner = Upstream { address: format!("127.0.0.1:{}", inner.http), ..inner.upstreams[0].clone() };
        Self::with(kind, [inner.clone(), inner], |file| file).await
    }

    /// Starts a proxy whose file differs from the one in `deploy/`.
    pub(crate) async fn with(kind: Kind, upstreams: [Upstream; 2], edit: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [http, https] = free_ports();
        write_certificate(folder.path());
        let text = fs::read_to_string(deployed(kind.file())).unwrap();
        let text = edit(with_addresses(kind, &text, folder.path(), http, https, &upstreams));
        fs::write(folder.path().join("site.conf"), text).unwrap();
        fs::write(folder.path().join("nginx.conf"), NGINX).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER, "sh"]).arg(kind.program()).args(match kind {
            Kind::Nginx => ["-p", ".", "-c", "nginx.conf"].as_slice(),
            Kind::Haproxy => &["-db", "-f", "site.conf"],
        });
        let log = fs::File::create(folder.path().join("log")).unwrap();
        command.current_dir(folder.path()).envs(variables(folder.path(), http, https, &upstreams));
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut keeper = command.spawn().unwrap();
        let input = keeper.stdin.take().unwrap();
        let proxy = Self { kind, http, https, upstreams, folder, _keeper: keeper, _input: input };
        proxy.wait_until_open().await;
        proxy
    }

    async fn wait_until_open(&self) {
        for port in [self.http, self.https] {
            let open = async || TcpStream::connect(("127.0.0.1", port)).await.is_ok();
            eventually(&format!("{:?} listens at {port}", self.kind), open, |open| *open || self.has_failed()).await;
        }
        assert!(!self.has_failed(), "{}", self.log());
    }

    fn has_failed(&self) -> bool {
        self.log().lines().any(|line| line.contains("[emerg]") || line.contains("[ALERT]"))
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// The URL of the site, with TLS or without it.
    pub(crate) fn url(&self, tls: bool) -> String {
        match tls {
            true => format!("https://{SITE}:{}", self.https),
            false => format!("http://{SITE}:{}", self.http),
        }
    }

    /// A visitor of the site.
    pub(crate) fn visitor(&self, tls: bool) -> Client {
        Client::with(&self.url(tls), |client| client)
    }

    /// A visitor with an address of the loopback network, which ends with this number.
    pub(crate) fn visitor_from(&self, tls: bool, number: u8) -> (Client, IpAddr) {
        let address = IpAddr::from(Ipv4Addr::new(127, 0, 0, number));
        let from = |client: ClientBuilder| client.local_address(address);
        (Client::with(&self.url(tls), from), address)
    }
}

impl Drop for ReverseProxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the log of {:?}\n{}", self.kind, self.log());
        }
    }
}

impl Client {
    /// A client that finds the site of a proxy at the loopback address, and takes its
    /// certificate.
    fn with(base: &str, change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        let idle = Duration::from_secs(2);
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE * 2).pool_idle_timeout(idle);
        let http = http.tls_danger_accept_invalid_certs(true).resolve(SITE, SocketAddr::from(([127, 0, 0, 1], 0)));
        Self::over(change(http).build().unwrap(), base)
    }
}

fn deployed(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file)
}

/// Two ports that are free now.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn write_certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed([SITE.to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    fs::write(folder.join("both.pem"), format!("{certificate}{key}")).unwrap();
    fs::write(folder.join("tls.crt"), certificate).unwrap();
    fs::write(folder.join("tls.key"), key).unwrap();
}

/// The file with the addresses and paths of this test in place of those of an
/// operator. HAProxy takes most of them from its environment.
fn with_addresses(kind: Kind, text: &str, folder: &Path, http: u16, https: u16, upstreams: &[Upstream; 2]) -> String {
    let folder = folder.display();
    let changes = match kind {
        Kind::Nginx => vec![
            ("listen 80;", format!("listen 127.0.0.1:{http};")),
            ("listen 443 ", format!("listen 127.0.0.1:{https} ")),
            ("server 10.0.0.11:8080 ", format!("server {} ", upstreams[0].address)),
            ("server 10.0.0.12:8080 ", format!("server {} ", upstreams[1].address)),
            ("/etc/ssl/ticketing/", format!("{folder}/")),
            ("/var/cache/nginx/", format!("{folder}/")),
            ("server_name ticketing.dev;", format!("server_name {SITE};")),
        ],
        // Only root can become another user.
        Kind::Haproxy => vec![("    user haproxy\n    group haproxy\n", String::new())],
    };
    changes.into_iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the file in deploy/ has no {from:?}");
        text.replace(from, &to)
    })
}

fn variables(folder: &Path, http: u16, https: u16, upstreams: &[Upstream; 2]) -> Vec<(String, String)> {
    let mut variables = vec![
        ("TICKETING_HTTP".to_owned(), format!("127.0.0.1:{http}")),
        ("TICKETING_HTTPS".to_owned(), format!("127.0.0.1:{https}")),
        ("TICKETING_CERTIFICATE".to_owned(), folder.join("both.pem").display().to_string()),
    ];
    for (number, upstream) in (1..).zip(upstreams) {
        variables.push((format!("TICKETING_HOST_{number}"), upstream.address.clone()));
        variables.push((format!("TICKETING_HOST_{number}_OPERATORS"), upstream.operators.clone()));
    }
    variables
}
