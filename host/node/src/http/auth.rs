//! Who asks, and whether a browser was tricked into asking.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method, Uri};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::catalogue as types;
use super::problem::Problem;
use super::settings::{HttpSettings, ServeError};

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Decides who may pass.
#[derive(Debug)]
pub(super) struct Gate {
    tokens: Option<Vec<(Arc<str>, [u8; 32])>>,
    /// Whether the `Host` must be a name of this machine: a page of a name that an attacker made resolve to 127.0.0.1 sends its own.
    host_is_checked: bool,
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Gate {
    /// From the settings. Errors: as [`HttpSettings::needs_token`].
    pub(super) fn new(settings: &HttpSettings) -> Result<Self, ServeError> {
        let needs_token = settings.needs_token()?;
        let tokens = || {
            settings
                .tokens
                .iter()
                .map(|token| (token.name.as_str().into(), token.sha256))
                .collect()
        };
        Ok(Self {
            tokens: needs_token.then(tokens),
            host_is_checked: !needs_token && settings.listen.ip().is_loopback(),
            hosts: settings.hosts.clone(),
            origins: settings.origins.clone(),
        })
    }

    /// Whether requests need a token.
    pub(super) fn needs_token(&self) -> bool {
        self.tokens.is_some()
    }

    /// The principal, or none where nobody needs a token.
    pub(super) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Option<Arc<str>>, Box<Problem>> {
        if let Some(tokens) = &self.tokens {
            return principal(tokens, headers).map(Some);
        }
        let host = || {
            headers
                .get(HOST)
                .and_then(|host| host.to_str().ok())
                .or_else(|| uri.authority().map(|a| a.as_str()))
        };
        if self.host_is_checked
            && let Some(host) = host()
            && !self.is_own_name(name_of(host))
        {
            return Err(Problem::new(
                &types::MISDIRECTED,
                format!("this node does not answer under the name '{host}'"),
            ));
        }
        if !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
            self.check_origin(headers, host())?;
        }
        Ok(None)
    }

    /// The origin to allow in the answer, if its pages may call.
    pub(super) fn allowed_origin<'a>(
        &self,
        headers: &'a HeaderMap,
    ) -> Option<&'a http::HeaderValue> {
        if self.origins.is_empty() {
            return None;
        }
        headers.get(ORIGIN).filter(|origin| {
            self.origins
                .iter()
                .any(|allowed| allowed.as_bytes() == origin.as_bytes())
        })
    }

    fn is_own_name(&self, name: &str) -> bool {
        let loopback = name == "localhost"
            || name.ends_with(".localhost")
            || name
                .trim_start_matches('[')
                .trim_end_matches(']')
                .parse()
                .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        loopback
            || self
                .hosts
                .iter()
                .any(|host| host.eq_ignore_ascii_case(name))
    }

    /// A page of another origin can send a request without being allowed to read the answer: it must not do anything.
    fn check_origin(&self, headers: &HeaderMap, host: Option<&str>) -> Result<(), Box<Problem>> {
        if self.allowed_origin(headers).is_some() {
            return Ok(());
        }
        let site = headers
            .get(&SEC_FETCH_SITE)
            .map(http::HeaderValue::as_bytes);
        let cross = match (site, headers.get(ORIGIN)) {
            (Some(site), _) => site != b"same-origin" && site != b"none",
            (None, Some(origin)) => {
                let authority = origin
                    .to_str()
                    .ok()
                    .and_then(|origin| origin.split_once("://"))
                    .map(|(_, rest)| rest);
                authority.is_none() || authority != host
            }
            (None, None) => false,
        };
        if cross {
            let detail = "a page of another origin sent this request";
            return Err(Problem::new(&types::CROSS_ORIGIN, detail));
        }
        Ok(())
    }
}

/// The host name of `name:port` or `[v6]:port`.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

fn principal(
    tokens: &[(Arc<str>, [u8; 32])],
    headers: &HeaderMap,
) -> Result<Arc<str>, Box<Problem>> {
    let given = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let secret = given
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, secret)) = secret else {
        let detail = if given.is_some() {
            "the Authorization header holds no bearer token"
        } else {
            "this node asks for a bearer token"
        };
        return Err(Problem::new(&types::UNAUTHORIZED, detail)
            .with_header(http::header::WWW_AUTHENTICATE, "Bearer realm=\"granary\""));
    };
    let hash: [u8; 32] = Sha256::digest(secret.trim()).into();
    // Every token is compared to its end: time tells nothing about how near a guess came, nor which token it came near to.
    let mut found = Choice::from(0);
    let mut at = 0_u32;
    for (index, (_, known)) in (0_u32..).zip(tokens) {
        let equal = known.ct_eq(&hash);
        at = u32::conditional_select(&at, &index, equal);
        found |= equal;
    }
    match tokens.get(at as usize) {
        Some((name, _)) if bool::from(found) => Ok(Arc::clone(name)),
        Some(_) | None => Err(Problem::new(
            &types::UNAUTHORIZED,
            "this bearer token is not known here",
        )
        .with_header(
            http::header::WWW_AUTHENTICATE,
            "Bearer realm=\"granary\", error=\"invalid_token\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::settings::{Auth, Token};

    fn gate(tokens: &[(&str, &str)], auth: Auth) -> Gate {
        let mut settings = HttpSettings::new("127.0.0.1:0".parse().unwrap());
        settings.tokens = tokens
            .iter()
            .map(|(name, secret)| Token::from_secret(*name, secret))
            .collect();
        settings.auth = auth;
        settings.origins = vec!["https://app.example".into()];
        Gate::new(&settings).unwrap()
    }

    fn ask(
        gate: &Gate,
        method: Method,
        headers: &[(&'static str, &str)],
    ) -> Result<Option<Arc<str>>, u16> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        gate.check(&method, &Uri::from_static("/"), &headers)
            .map_err(|problem| problem.status())
    }

    #[test]
    fn the_right_token_is_its_name_and_any_other_is_nobody() {
        let gate = gate(
            &[("ada", "one"), ("bob", "two"), ("cy", "three")],
            Auth::Automatic,
        );
        for (name, secret) in [("ada", "one"), ("bob", "two"), ("cy", "three")] {
            let header = format!("Bearer {secret}");
            assert_eq!(
                ask(&gate, Method::POST, &[("authorization", &header)]),
                Ok(Some(name.into()))
            );
        }
        assert_eq!(ask(&gate, Method::GET, &[]), Err(401));
        assert_eq!(
            ask(&gate, Method::GET, &[("authorization", "Bearer four")]),
            Err(401)
        );
        assert_eq!(
            ask(&gate, Method::GET, &[("authorization", "Basic one")]),
            Err(401)
        );
        assert_eq!(
            ask(&gate, Method::GET, &[("authorization", "one")]),
            Err(401)
        );
    }

    #[test]
    fn an_open_loopback_node_answers_only_under_its_own_names() {
        let gate = gate(&[], Auth::Automatic);
        for host in [
            "localhost",
            "localhost:7070",
            "app.localhost:1",
            "127.0.0.1:7070",
            "127.1.2.3",
            "[::1]:7070",
        ] {
            assert_eq!(
                ask(&gate, Method::POST, &[("host", host)]),
                Ok(None),
                "{host}"
            );
        }
        for host in [
            "evil.example",
            "localhost.evil.example:7070",
            "10.0.0.1:7070",
            "[fe80::1]:7070",
        ] {
            assert_eq!(
                ask(&gate, Method::GET, &[("host", host)]),
                Err(421),
                "{host}"
            );
        }
    }

    #[test]
    fn a_page_of_another_origin_may_not_post() {
        let gate = gate(&[], Auth::Off);
        let host = ("host", "localhost:7070");
        let post = |header: (&'static str, &'static str)| ask(&gate, Method::POST, &[host, header]);
        assert_eq!(post(("origin", "https://evil.example")), Err(403));
        assert_eq!(post(("origin", "null")), Err(403));
        assert_eq!(post(("origin", "http://localhost:7070")), Ok(None));
        assert_eq!(post(("origin", "https://app.example")), Ok(None));
        assert_eq!(post(("sec-fetch-site", "cross-site")), Err(403));
        assert_eq!(post(("sec-fetch-site", "same-site")), Err(403));
        assert_eq!(post(("sec-fetch-site", "same-origin")), Ok(None));
        assert_eq!(
            ask(
                &gate,
                Method::GET,
                &[host, ("origin", "https://evil.example")]
            ),
            Ok(None)
        );
    }
}
