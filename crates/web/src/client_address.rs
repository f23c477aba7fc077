//! Where a request comes from: the peer's address, or what a trusted proxy says. Whoever is not trusted can write headers, but is the last address
//! in them that is none of ours.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use domain::address::Network;

/// The sender's address; nothing when the connection has none, as in tests.
#[must_use]
pub fn of(request: &HttpRequest, trusted: &[Network]) -> Option<IpAddr> {
    request.peer_addr().map(|peer| behind(peer.ip().to_canonical(), request.headers(), trusted))
}

/// The sender's address as limits count it: one of IPv6 stands for its network of 64 bits, which one household has.
#[must_use]
pub fn counted(address: Option<IpAddr>) -> String {
    match address {
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Some(IpAddr::V4(address)) => address.to_string(),
        None => "unknown".to_owned(),
    }
}

fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.holds(address));
    if !is_trusted(peer) {
        return peer;
    }
    let last = |hops: Vec<Option<IpAddr>>| {
        let mut nearest = peer;
        for hop in hops.into_iter().rev() {
            // What cannot be read was written by the hop before it.
            let Some(hop) = hop else { return nearest };
            if !is_trusted(hop) {
                return hop;
            }
            nearest = hop;
        }
        nearest
    };
    match (x_forwarded_for(headers), forwarded(headers)) {
        (None, None) => peer,
        (Some(hops), None) | (None, Some(hops)) => last(hops),
        // A proxy writes one of them and may pass the other on as it came: where they differ, one was forged.
        (Some(one), Some(other)) => Some(last(one)).filter(|address| *address == last(other)).unwrap_or(peer),
    }
}

/// The parts of a header that may be there several times, in order.
fn parts(headers: &HeaderMap, name: &str) -> Option<Vec<String>> {
    let values: Vec<_> = headers.get_all(name).collect();
    let text = |value: &actix_web::http::header::HeaderValue| value.to_str().unwrap_or("?").to_owned();
    let all = || values.iter().map(|value| text(value)).collect::<Vec<_>>().join(",");
    (!values.is_empty()).then(|| all().split(',').map(|part| part.trim().to_owned()).collect())
}

fn x_forwarded_for(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    parts(headers, "x-forwarded-for").map(|parts| parts.iter().map(|part| address(part)).collect())
}

/// RFC 7239: `for=192.0.2.1;proto=https, for="[2001:db8::1]:4711"`.
fn forwarded(headers: &HeaderMap) -> Option<Vec<Option<IpAddr>>> {
    let of = |element: &str| {
        let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
        let mut named = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
        named.next().and_then(|(_, value)| address(value.trim().trim_matches('"')))
    };
    parts(headers, "forwarded").map(|elements| elements.iter().map(|element| of(element)).collect())
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(inside, _)| inside)?,
        None if text.matches(':').count() == 1 => text.split_once(':').map(|(host, _)| host)?,
        None => text,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use actix_web::test::TestRequest;

    use super::*;

    fn seen(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let trusted: Vec<Network> = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap()).to_vec();
        let mut request = TestRequest::default().peer_addr(format!("{peer}:4711").parse().unwrap());
        for header in headers {
            request = request.append_header(*header);
        }
        of(&request.to_http_request(), &trusted).unwrap().to_string()
    }

    #[test]
    fn only_trusted_proxies_say_where_a_request_came_from() {
        let (client, other, proxy) = ("203.0.113.7", "198.51.100.9", "10.1.2.3");
        for (peer, headers, address) in [
            (client, vec![("x-forwarded-for", other)], client),
            (proxy, vec![], proxy),
            (proxy, vec![("x-forwarded-for", client)], client),
            // The client wrote the first one itself.
            (proxy, vec![("x-forwarded-for", "198.51.100.9, 203.0.113.7")], client),
            (proxy, vec![("x-forwarded-for", "198.51.100.9, 203.0.113.7, 10.9.9.9")], client),
            (proxy, vec![("x-forwarded-for", other), ("x-forwarded-for", client)], client),
            (proxy, vec![("x-forwarded-for", "203.0.113.7:55")], client),
            (proxy, vec![("x-forwarded-for", "198.51.100.9, nonsense")], proxy),
            (proxy, vec![("x-forwarded-for", "198.51.100.9, nonsense, 10.9.9.9")], "10.9.9.9"),
            (proxy, vec![("forwarded", "for=198.51.100.9, for=203.0.113.7;proto=https")], client),
            (proxy, vec![("forwarded", "for=\"[2001:db8::1]:4711\"")], "2001:db8::1"),
            (proxy, vec![("forwarded", "for=_hidden")], proxy),
            (proxy, vec![("x-forwarded-for", client), ("forwarded", "for=203.0.113.7")], client),
            // One of them is forged, and nobody knows which.
            (proxy, vec![("x-forwarded-for", client), ("forwarded", "for=198.51.100.9")], proxy),
            ("[::ffff:10.1.2.3]", vec![("x-forwarded-for", client)], client),
        ] {
            assert_eq!(seen(peer, &headers), address, "{peer} {headers:?}");
        }
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_sender() {
        let one = |text: &str| counted(Some(text.parse().unwrap()));
        assert_eq!(one("2001:db8:1:2:3::1"), one("2001:db8:1:2:ffff::9"));
        assert_ne!(one("2001:db8:1:2::1"), one("2001:db8:1:3::1"));
        assert_eq!(one("203.0.113.7"), "203.0.113.7");
    }
}
