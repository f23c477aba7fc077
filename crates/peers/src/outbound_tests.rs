//! The way out beside addresses that lead inside, names that change, and receivers that misbehave.

#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{LookUp, Outbound, OutboundError, Rules};

fn strict() -> Rules {
    Rules { allows_http: false, ports: vec![443], networks: Vec::new(), timeout: Duration::from_secs(5) }
}

/// May call this machine over http.
fn open() -> Rules {
    Rules { allows_http: true, ports: Vec::new(), networks: vec!["127.0.0.0/8".parse().unwrap()], ..strict() }
}

/// A resolver that gives these answers one after the other, the last one for ever, and counts.
fn names(answers: &'static [&'static [&'static str]], asked: &Arc<AtomicUsize>) -> LookUp {
    let asked = Arc::clone(asked);
    Arc::new(move |_| {
        let at = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let found: Vec<IpAddr> = answers[at].iter().map(|text| text.parse().unwrap()).collect();
        Box::pin(async move { Ok(found) })
    })
}

/// A receiver on this machine that answers every connection with these bytes, and keeps it open when they end in no line.
async fn receiver(answer: &'static str) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, seen) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let requests = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let requests = Arc::clone(&requests);
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                let mut n = 0;
                while !String::from_utf8_lossy(&bytes[..n]).ends_with('}') {
                    match stream.read(&mut bytes[n..]).await {
                        Ok(0) | Err(_) => break,
                        Ok(more) => n += more,
                    }
                }
                requests.lock().unwrap().push(String::from_utf8_lossy(&bytes[..n]).into_owned());
                let _ = stream.write_all(answer.as_bytes()).await;
                if !answer.ends_with('\n') {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (port, seen)
}

#[tokio::test]
async fn addresses_that_no_call_may_go_to_are_refused_with_the_reason() {
    let outbound = Outbound::new(strict()).unwrap();
    let cases = [
        ("", "is no address"),
        ("hooks.example.com/a", "is no address"),
        ("http://hooks.example.com/a", "must begin with https://"),
        ("ftp://hooks.example.com/a", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("gopher://hooks.example.com/", "must begin with https://"),
        ("javascript:alert(1)", "must begin with https://"),
        ("https://", "is no address"),
        ("https:///", "is no address"),
        ("https://user@hooks.example.com/", "user or password"),
        ("https://user:secret@hooks.example.com/", "user or password"),
        ("https://@hooks.example.com/", "user or password"),
        ("https://hooks.example.com@127.0.0.1/", "user or password"),
        ("https://hooks.example.com/#part", "fragment"),
        ("https://hooks.example.com:8443/", "port 8443"),
        ("https://hooks.example.com:22/", "port 22"),
        ("https://hooks.example.com:80/", "port 80"),
        (" https://hooks.example.com/", "spaces"),
        ("https://hooks.example.com/\n", "spaces"),
        ("https://hooks.example.com/\u{7}", "control"),
        ("https://hooks.example.com\\@127.0.0.1/", "backslashes"),
        ("https://127.0.0.1/", "loopback"),
        ("https://127.1/", "loopback"),
        ("https://0x7f.1/", "loopback"),
        ("https://0x7f000001/", "loopback"),
        ("https://2130706433/", "loopback"),
        ("https://017700000001/", "loopback"),
        ("https://0177.0.0.1/", "loopback"),
        ("https://127.0.0.1./", "loopback"),
        ("https://%31%32%37.0.0.1/", "loopback"),
        ("https://１２７.0.0.1/", "loopback"),
        ("https://127。0。0。1/", "loopback"),
        ("https://0/", "unspecified"),
        ("https://0.0.0.0/", "unspecified"),
        ("https://10.1.2.3/", "private"),
        ("https://172.20.0.1/", "private"),
        ("https://192.168.1.1/", "private"),
        ("https://3232235777/", "private"),
        ("https://100.64.1.1/", "CGNAT"),
        ("https://169.254.169.254/latest/meta-data/", "link-local"),
        ("https://2852039166/", "link-local"),
        ("https://168.63.129.16/", "metadata"),
        ("https://255.255.255.255/", "reserved"),
        ("https://224.0.0.1/", "multicast"),
        ("https://[::1]/", "loopback"),
        ("https://[::]/", "unspecified"),
        ("https://[::ffff:127.0.0.1]/", "loopback"),
        ("https://[::ffff:7f00:1]/", "loopback"),
        ("https://[::ffff:a9fe:a9fe]/", "link-local"),
        ("https://[64:ff9b::169.254.169.254]/", "link-local"),
        ("https://[64:ff9b:1::1]/", "no public address"),
        ("https://[2002:7f00:1::]/", "6to4"),
        ("https://[2001::1]/", "Teredo"),
        ("https://[fd00:ec2::254]/", "private"),
        ("https://[fe80::1]/", "link-local"),
        ("https://[ff02::1]/", "multicast"),
        ("https://[::127.0.0.1]/", "no public address"),
        ("https://[fe80::1%25eth0]/", "is no address"),
    ];
    assert!(cases.len() >= 40);
    for (address, said) in cases {
        let why = outbound.check(address).await.unwrap_err();
        assert!(why.contains(said), "{address}: {why}");
        // What was saved before a rule changed is refused at the call as well.
        let refused = outbound.post(address, &[], "{}".to_owned()).await.unwrap_err();
        assert!(matches!(refused, OutboundError::Refused(_)), "{address}: {refused}");
    }
    assert!(outbound.check(&format!("https://example.com/{}", "a".repeat(2_000))).await.unwrap_err().contains("at most"));
    assert!(outbound.read("https://hooks.example.com/a?token=x").is_ok() && outbound.read("https://1.1.1.1/").is_ok());
}

#[tokio::test]
async fn a_name_is_refused_when_any_of_its_addresses_leads_inside() {
    for inside in
        [&["127.0.0.1"] as &[&str], &["1.1.1.1", "10.0.0.8"], &["::1"], &["2606:4700:4700::1111", "fe80::1"], &["169.254.169.254"]]
    {
        let look_up: LookUp = Arc::new(move |_| {
            let found = inside.iter().map(|text| text.parse().unwrap()).collect();
            Box::pin(async move { Ok(found) })
        });
        let outbound = Outbound::with_look_up(strict(), look_up).unwrap();
        let why = outbound.check("https://hooks.example.com/").await.unwrap_err();
        assert!(why.starts_with("leads to") && why.contains("only public addresses"), "{inside:?}: {why}");
        let refused = outbound.post("https://hooks.example.com/", &[], "{}".to_owned()).await.unwrap_err();
        assert!(matches!(&refused, OutboundError::Refused(why) if why.contains("only public addresses")), "{inside:?}: {refused}");
    }
    let nowhere = Outbound::with_look_up(strict(), Arc::new(|_| Box::pin(async { Ok(Vec::new()) }))).unwrap();
    assert!(nowhere.check("https://hooks.example.com/").await.unwrap_err().contains("has no address"));
    assert!(matches!(nowhere.post("https://hooks.example.com/", &[], "{}".to_owned()).await, Err(OutboundError::Unreachable(_))));
}

#[tokio::test]
async fn a_name_that_changes_between_check_and_call_leads_nowhere() {
    let (port, seen) = receiver("HTTP/1.1 204 No Content\r\n\r\n").await;
    let asked = Arc::default();
    let rules = Rules { allows_http: true, ports: Vec::new(), ..strict() };
    let outbound = Outbound::with_look_up(rules, names(&[&["1.1.1.1"], &["127.0.0.1"]], &asked)).unwrap();
    let address = format!("http://rebound.example.com:{port}/");
    outbound.check(&address).await.unwrap();
    let refused = outbound.post(&address, &[], "{}".to_owned()).await.unwrap_err();
    assert!(matches!(&refused, OutboundError::Refused(why) if why.contains("loopback") && !why.contains("127.0.0.1")), "{refused}");
    assert!(seen.lock().unwrap().is_empty(), "nothing was connected to");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_call_looks_its_name_up_once_and_goes_to_that_address() {
    let (port, seen) = receiver("HTTP/1.1 204 No Content\r\n\r\n").await;
    let asked = Arc::default();
    // A second look-up within the call would lead elsewhere.
    let outbound = Outbound::with_look_up(open(), names(&[&["127.0.0.1"], &["127.0.0.1"], &["192.0.2.1"]], &asked)).unwrap();
    let address = format!("http://hooks.example.com:{port}/in?a=b");
    for call in 1..=2 {
        let answer = outbound.post(&address, &[("webhook-id", "evt_1".to_owned())], "{}".to_owned()).await.unwrap();
        assert_eq!((answer.status, asked.load(Ordering::SeqCst)), (204, call), "each call looks up anew, and once");
    }
    let request = seen.lock().unwrap()[0].clone();
    for part in ["POST /in?a=b HTTP/1.1", "webhook-id: evt_1", "content-type: application/json", &format!("host: hooks.example.com:{port}")]
    {
        assert!(request.contains(part), "{part} in {request}");
    }
    assert!(matches!(outbound.post(&address, &[], "{}".to_owned()).await, Err(OutboundError::Refused(_))), "for documentation");
}

#[tokio::test]
async fn redirects_are_not_followed_and_bodies_are_not_read() {
    let (inside, touched) = receiver("HTTP/1.1 200 OK\r\n\r\n").await;
    let outbound = Outbound::new(open()).unwrap();
    let moved: &'static str = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:{inside}/\r\n\r\n").leak();
    let (port, _) = receiver(moved).await;
    assert_eq!(outbound.post(&format!("http://127.0.0.1:{port}/"), &[], "{}".to_owned()).await.unwrap().status, 307);
    assert!(touched.lock().unwrap().is_empty());
    // A body of four gigabytes that never comes.
    let (port, _) = receiver("HTTP/1.1 200 OK\r\ncontent-length: 4294967296\r\n\r\nabc").await;
    assert_eq!(outbound.post(&format!("http://127.0.0.1:{port}/"), &[], "{}".to_owned()).await.unwrap().status, 200);
    let (port, _) = receiver("HTTP/1.1 429 Too Many Requests\r\nretry-after: 17\r\n\r\n").await;
    let answer = outbound.post(&format!("http://127.0.0.1:{port}/"), &[], "{}".to_owned()).await.unwrap();
    assert_eq!((answer.status, answer.retry_after), (429, Some(17)));
}

#[test]
fn retry_after_is_read_as_seconds_and_as_a_date() {
    let now = "2026-11-28T12:00:00Z".parse().unwrap();
    for (text, seconds) in [
        ("17", Some(17)),
        (" 0 ", Some(0)),
        // RFC 9110, section 10.2.3.
        ("Sat, 28 Nov 2026 12:02:00 GMT", Some(120)),
        ("Sat, 28 Nov 2026 11:00:00 GMT", Some(0)),
        ("-5", None),
        ("soon", None),
    ] {
        assert_eq!(super::seconds_of(text, now), seconds, "{text}");
    }
}

#[tokio::test]
async fn nobody_is_waited_for_longer_than_allowed_and_no_address_is_told() {
    let outbound = Outbound::new(Rules { timeout: Duration::from_millis(200), ..open() }).unwrap();
    let (port, _) = receiver("").await;
    let begun = Instant::now();
    let late = outbound.post(&format!("http://127.0.0.1:{port}/?token=hidden"), &[], "{}".to_owned()).await.unwrap_err();
    assert!(matches!(late, OutboundError::Late(_)) && begun.elapsed() < Duration::from_secs(3), "{late}");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let refused = outbound.post(&format!("http://127.0.0.1:{closed}/?token=hidden"), &[], "{}".to_owned()).await.unwrap_err();
    assert!(refused.to_string().contains("refused") && !refused.to_string().contains("hidden"), "{refused}");
    let (port, _) = receiver("SSH-2.0-OpenSSH_9.2\r\n").await;
    let odd = outbound.post(&format!("http://127.0.0.1:{port}/"), &[], "{}".to_owned()).await.unwrap_err();
    assert!(matches!(odd, OutboundError::Unreachable(_)), "{odd}");
}
