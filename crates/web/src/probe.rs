//! A service asks itself whether it is well: `--check-health`, for containers, whose images have no program that could ask over HTTP.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::settings::{ServiceName, Settings};

/// Longest wait for each step of the question; the readiness check itself answers within two seconds.
const WITHIN: Duration = Duration::from_secs(4);
/// Most that is read of an answer.
const MAX_ANSWER_BYTES: u64 = 16 * 1024;

/// Asks the service of these settings on this machine whether it is ready. `Err` says why not.
pub(crate) fn check(settings: &Settings, service: ServiceName) -> Result<String, String> {
    let address = reachable(settings.public_socket(service));
    let answer = ask(address, "/health/ready").map_err(|error| format!("http://{address}/health/ready does not answer: {error}"))?;
    let status = answer.split_ascii_whitespace().nth(1).unwrap_or("nothing readable");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
    match status {
        "200" => Ok(format!("ready at http://{address}")),
        other => Err(format!("http://{address}/health/ready answers {other}: {body}")),
    }
}

/// Where a listener on every interface is reached from here.
fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

fn ask(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    // HTTP/1.0: the answer ends with the connection. Written at once, not a piece at a time as a formatted stream would be.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::TcpListener;

    /// A service that answers one question so, and where it is.
    fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // To the end of the head: it may come in pieces.
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0_u8];
                stream.read_exact(&mut byte).unwrap();
                asked.push(byte[0]);
            }
            assert!(asked.starts_with(b"GET /health/ready HTTP/1.0\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    fn settings_for(port: u16) -> Settings {
        let variables = [("ENDCAP_RATER_APP_PORT", port.to_string()), ("ENDCAP_BIND_ADDRESS", "0.0.0.0".to_owned())];
        Settings::from_variables(variables).unwrap()
    }

    #[test]
    fn a_ready_service_is_well_and_any_other_says_why() {
        let check_at = |port| check(&settings_for(port), ServiceName::RaterApp);
        let ready = answering("HTTP/1.1 200 OK\r\n\r\n{}");
        assert_eq!(check_at(ready.port()), Ok(format!("ready at http://{ready}")));

        let draining = answering("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"code\":\"draining\"}");
        let why = check_at(draining.port()).unwrap_err();
        assert!(why.contains("answers 503: {\"code\":\"draining\"}"), "{why}");

        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let why = check_at(gone.port()).unwrap_err();
        assert!(why.contains("does not answer"), "{why}");
    }
}
