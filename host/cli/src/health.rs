//! `ticketing health`: checks that the host on this machine runs. It is for callers
//! that can start a program but cannot send HTTP requests, such as the health
//! check of a container without a shell.

use anyhow::{Context, bail};
use host_config::{Config, ConfigError};
use std::{
    io::{BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// The timeout of the connection, of the request and of each read.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Requests `/healthz` from the operator listener of these settings.
///
/// # Errors
/// When the listener does not answer with 200, or when the settings leave its
/// port open.
pub fn check(config: &Config) -> anyhow::Result<()> {
    let address = reachable(config.operator.listen);
    if address.port() == 0 {
        return Err(ConfigError::new("operator.listen: with port 0 the address of the host is unknown").into());
    }
    let status = request_health(address).with_context(|| format!("the host at {address} does not answer"))?;
    if !status.starts_with("HTTP/1.1 200 ") {
        bail!("the host at {address} answers {}", status.trim_end());
    }
    Ok(())
}

/// Sends the request, and returns the first line of the answer.
fn request_health(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

/// The address for the request. A host that listens on all addresses also listens on the
/// loopback address.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let own = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(own, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    fn config(listen: &str) -> Config {
        let flags = host_config::flags::Flags { admin_listen: Some(listen.to_owned()), ..Default::default() };
        Config::load(&flags, []).unwrap()
    }

    fn answers(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            // Reads the whole request, because unread bytes reset the connection.
            let lines = BufReader::new(&stream).lines().map(Result::unwrap);
            let request: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            assert_eq!(request[0], "GET /healthz HTTP/1.1");
            (&stream).write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn the_request_to_a_host_on_all_addresses_goes_to_the_loopback_address() {
        assert_eq!(reachable("0.0.0.0:8081".parse().unwrap()).to_string(), "127.0.0.1:8081");
        assert_eq!(reachable("[::]:8081".parse().unwrap()).to_string(), "[::1]:8081");
        assert_eq!(reachable("10.0.0.1:8081".parse().unwrap()).to_string(), "10.0.0.1:8081");
    }

    #[test]
    fn only_an_answer_of_200_is_good() {
        check(&config(&answers("HTTP/1.1 200 OK\r\n\r\nok\n"))).unwrap();
        let failure = check(&config(&answers("HTTP/1.1 503 Service Unavailable\r\n\r\n"))).unwrap_err();
        assert!(failure.to_string().contains("503"), "{failure}");
        let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        assert!(check(&config(&unused)).is_err());
        assert!(check(&config("127.0.0.1:0")).unwrap_err().is::<ConfigError>());
    }
}
