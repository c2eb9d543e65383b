//! Who may ask.
//!
//! Without a token only programs on this machine can connect, and a web page that somebody else made must not be one of them: a name
//! that leads here by a trick of its owner (DNS rebinding) is not answered.

use super::address::{encoded, field};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, COOKIE, HOST};
use hyper::http::request::Parts;
use std::net::IpAddr;
use zeroize::Zeroizing;

/// What the cookie of a browser is made of the token with, so that it does not hold that.
const COOKIE_CONTEXT: &str = "larder 2026 serve cookie";

/// Lets those in who may ask.
pub struct Gate {
    token: Option<Token>,
    /// The name or address that is listened on.
    host: String,
}

/// What opens the gate: only hashes are kept.
struct Token {
    hash: blake3::Hash,
    cookie: Zeroizing<String>,
    cookie_hash: blake3::Hash,
    cookie_name: String,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is answered.
    Enter,
    /// The browser gets this cookie, and is sent to the same address without its token.
    Remember {
        /// The cookie.
        cookie: String,
        /// The address.
        address: String,
    },
    /// A token is asked for.
    Ask,
    /// It is for another host.
    OtherHost,
}

impl Gate {
    /// For who listens on this host and port, with a token or without.
    pub fn new(host: &str, port: u16, token: Option<&str>) -> Self {
        let token = token.map(|token| {
            let cookie = blake3::derive_key(COOKIE_CONTEXT, token.as_bytes());
            let cookie = Zeroizing::new(blake3::Hash::from(cookie).to_hex().to_string());
            Token {
                hash: blake3::hash(token.as_bytes()),
                cookie_hash: blake3::hash(cookie.as_bytes()),
                cookie,
                // Browsers do not keep cookies of ports apart.
                cookie_name: format!("larder-{port}"),
            }
        });
        Self {
            token,
            host: host.to_lowercase(),
        }
    }

    /// What becomes of a request with this head.
    pub fn ask(&self, head: &Parts) -> Verdict {
        let Some(token) = &self.token else {
            return match host_of(head).is_some_and(|host| self.is_ours(&host)) {
                true => Verdict::Enter,
                false => Verdict::OtherHost,
            };
        };
        if token.shown_by_header(head) {
            return Verdict::Enter;
        }
        match field(head.uri.query(), "token") {
            Some(given) if blake3::hash(&given) == token.hash => Verdict::Remember {
                cookie: format!(
                    "{}={}; Path=/; HttpOnly; SameSite=Strict",
                    token.cookie_name,
                    token.cookie.as_str()
                ),
                address: without_token(head),
            },
            _ => Verdict::Ask,
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let address = host.parse::<IpAddr>();
        host == "localhost"
            || host == self.host
            || address.is_ok_and(|address| address.is_loopback())
    }
}

impl Token {
    fn shown_by_header(&self, head: &Parts) -> bool {
        let texts = |name| {
            head.headers
                .get_all(name)
                .into_iter()
                .filter_map(|value| value.to_str().ok())
        };
        let given = texts(AUTHORIZATION).filter_map(secret_of);
        let mut cookies = texts(COOKIE)
            .flat_map(|value| value.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='));
        // Hashes are compared in constant time.
        given
            .into_iter()
            .any(|given| blake3::hash(&given) == self.hash)
            || cookies.any(|(name, value)| {
                name == self.cookie_name && blake3::hash(value.as_bytes()) == self.cookie_hash
            })
    }
}

/// The token of `Bearer TOKEN`, or the password of `Basic base64(USER:PASSWORD)`.
fn secret_of(authorization: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (scheme, rest) = authorization.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Zeroizing::new(rest.as_bytes().to_vec()));
    }
    let decoded = Zeroizing::new(STANDARD.decode(rest).ok()?);
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    scheme
        .eq_ignore_ascii_case("basic")
        .then(|| Zeroizing::new(decoded[colon + 1..].to_vec()))
}

/// The host that a request is for, without its port, in small letters.
fn host_of(head: &Parts) -> Option<String> {
    let named = match head.uri.host() {
        Some(host) => host.to_owned(),
        None => {
            let host = head.headers.get(HOST)?.to_str().ok()?;
            let end = host.rfind(':').filter(|_| !host.ends_with(']'));
            host[..end.unwrap_or(host.len())].to_owned()
        }
    };
    let named = named
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(&named);
    Some(named.trim_end_matches('.').to_lowercase())
}

fn without_token(head: &Parts) -> String {
    let query = head.uri.query().unwrap_or_default().split('&');
    let rest: Vec<&str> = query.filter(|field| !field.starts_with("token=")).collect();
    // An address that begins with two slashes would lead to another host.
    let path = format!("/{}", head.uri.path().trim_start_matches('/'));
    let path: String = path.split('/').map(reencoded).collect::<Vec<_>>().join("/");
    match rest.is_empty() {
        true => path,
        false => format!("{path}?{}", rest.join("&")),
    }
}

fn reencoded(part: &str) -> String {
    encoded(&percent_encoding::percent_decode_str(part).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn head(address: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn without_a_token_only_requests_for_this_machine_enter() {
        let gate = Gate::new("::1", 80, None);
        let asked = |host: &str| gate.ask(&head("/", &[("host", host)]));
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.2:80",
            "[::1]:8080",
            "[::1]",
            "localhost.",
        ] {
            assert_eq!(asked(host), Verdict::Enter, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "",
            "127.0.0.1.evil.example:80",
            "[::2]",
        ] {
            assert_eq!(asked(host), Verdict::OtherHost, "{host}");
        }
        assert_eq!(gate.ask(&head("/", &[])), Verdict::OtherHost);
        let whole = "http://evil.example/";
        assert_eq!(
            gate.ask(&head(whole, &[("host", "localhost")])),
            Verdict::OtherHost
        );
        let named = Gate::new("Backup.Example", 80, None);
        assert_eq!(
            named.ask(&head("/", &[("host", "backup.example:80")])),
            Verdict::Enter
        );
    }

    #[test]
    fn a_token_opens_in_four_ways() {
        let gate = Gate::new("0.0.0.0", 8080, Some("a secret, long enough"));
        let enters =
            |name: &str, value: &str| gate.ask(&head("/", &[(name, value)])) == Verdict::Enter;
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert!(enters("authorization", "Bearer a secret, long enough"));
        assert!(enters(
            "authorization",
            &basic("anyone:a secret, long enough")
        ));
        assert!(!enters(
            "authorization",
            &basic("a secret, long enough:anyone")
        ));
        assert!(!enters("authorization", "Bearer a secret, long enougH"));
        assert!(!enters("authorization", "Basic %%%"));
        assert!(!enters("authorization", "Digest a secret, long enough"));
        assert!(!enters("host", "localhost"));
        let link = gate.ask(&head(
            "//a%22b/?view&token=a%20secret,%20long%20enough&x=1",
            &[],
        ));
        let Verdict::Remember { cookie, address } = link else {
            panic!("{link:?}")
        };
        assert_eq!(address, "/a%22b/?view&x=1");
        assert!(
            cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict") && !cookie.contains("secret")
        );
        let (value, _) = cookie.split_once(';').unwrap();
        assert!(enters("cookie", &format!("other=1; {value}")));
        assert!(
            !enters("cookie", &format!("{}0", &value[..value.len() - 1])) || value.ends_with('0')
        );
        assert_eq!(gate.ask(&head("/?token=wrong", &[])), Verdict::Ask);
    }
}
