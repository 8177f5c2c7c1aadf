//! The allow list for outgoing HTTP.

use std::net::IpAddr;

use granary_core::kind::HttpGrant;
use http::Method;

use crate::link::LinkError;

/// A kind's list. Empty: nothing is allowed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules(Vec<Rule>);

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    tls: Option<bool>,
    host: HostRule,
    port: Option<u16>,
    methods: Vec<Method>,
    private: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum HostRule {
    /// This very name.
    Name(String),
    /// Any name below this domain, but not the domain itself. Starts with a dot.
    Below(String),
    Address(IpAddr),
}

/// Where a request goes, as far as it is known before the name is resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) tls: bool,
    /// Without brackets, in lower case.
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// What a matching rule says of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) private: bool,
}

impl Rules {
    /// Reads the grants. Errors: [`LinkError::Http`].
    pub(crate) fn parse(grants: &[HttpGrant]) -> Result<Self, LinkError> {
        grants
            .iter()
            .map(Rule::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether a request may be made, and to what addresses. Where several rules match, the most generous one counts.
    pub(crate) fn check(&self, target: &Target, method: &Method) -> Option<Allowed> {
        let matching = self.0.iter().filter(|rule| rule.matches(target, method));
        matching
            .map(|rule| Allowed {
                private: rule.private,
            })
            .reduce(|a, b| Allowed {
                private: a.private || b.private,
            })
    }
}

impl Rule {
    fn parse(grant: &HttpGrant) -> Result<Self, LinkError> {
        let refused = |why: &str| LinkError::Http {
            rule: grant.host.clone(),
            why: why.to_owned(),
        };
        let tls = match grant.scheme.as_deref() {
            None => None,
            Some("http") => Some(false),
            Some("https") => Some(true),
            Some(_) => return Err(refused("the scheme is http or https")),
        };
        let methods = grant
            .methods
            .iter()
            .map(|name| Method::from_bytes(name.to_ascii_uppercase().as_bytes()));
        let methods = methods
            .collect::<Result<_, _>>()
            .map_err(|_| refused("a method is a word such as GET"))?;
        let host = HostRule::parse(&grant.host)
            .ok_or_else(|| refused("a host is a name, '*.' and a domain, or an address"))?;
        Ok(Self {
            tls,
            host,
            port: grant.port,
            methods,
            private: grant.private,
        })
    }

    fn matches(&self, target: &Target, method: &Method) -> bool {
        let port = self.port.unwrap_or(if target.tls { 443 } else { 80 });
        self.tls.is_none_or(|tls| tls == target.tls)
            && port == target.port
            && (self.methods.is_empty() || self.methods.contains(method))
            && self.host.matches(&target.host)
    }
}

impl HostRule {
    fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .unwrap_or(&text);
        if let Ok(address) = bare.parse() {
            return Some(Self::Address(address));
        }
        let (domain, below) = match text.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (text.as_str(), false),
        };
        let label_fits = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if !domain.trim_end_matches('.').split('.').all(label_fits) {
            return None;
        }
        let domain = domain.trim_end_matches('.');
        Some(if below {
            Self::Below(format!(".{domain}"))
        } else {
            Self::Name(domain.to_owned())
        })
    }

    fn matches(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.');
        match self {
            Self::Name(name) => host == name,
            Self::Below(domain) => host.ends_with(domain.as_str()) && domain.len() < host.len(),
            Self::Address(address) => host.parse() == Ok(*address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(host: &str) -> HttpGrant {
        HttpGrant {
            scheme: None,
            host: host.to_owned(),
            port: None,
            methods: Vec::new(),
            private: false,
        }
    }

    fn target(tls: bool, host: &str, port: u16) -> Target {
        Target {
            tls,
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn a_rule_without_port_means_the_schemes_own() {
        let rules = Rules::parse(&[grant("api.example.org")]).unwrap();
        assert!(
            rules
                .check(&target(true, "api.example.org", 443), &Method::GET)
                .is_some()
        );
        assert!(
            rules
                .check(&target(false, "api.example.org", 80), &Method::POST)
                .is_some()
        );
        assert!(
            rules
                .check(&target(true, "api.example.org", 8443), &Method::GET)
                .is_none()
        );
        assert!(
            rules
                .check(&target(true, "example.org", 443), &Method::GET)
                .is_none()
        );
        assert!(
            rules
                .check(&target(true, "api.example.org.", 443), &Method::GET)
                .is_some()
        );
    }

    #[test]
    fn a_wildcard_covers_what_is_below_and_nothing_else() {
        let rules = Rules::parse(&[grant("*.example.org")]).unwrap();
        assert!(
            rules
                .check(&target(true, "a.b.example.org", 443), &Method::GET)
                .is_some()
        );
        for host in [
            "example.org",
            "badexample.org",
            "example.org.evil.net",
            ".example.org",
        ] {
            assert!(
                rules
                    .check(&target(true, host, 443), &Method::GET)
                    .is_none(),
                "{host}"
            );
        }
    }

    #[test]
    fn scheme_port_method_and_address_count_when_given() {
        let mut strict = grant("[::1]");
        (strict.scheme, strict.port, strict.methods, strict.private) =
            (Some("http".into()), Some(8080), vec!["get".into()], true);
        let rules = Rules::parse(&[strict]).unwrap();
        assert_eq!(
            rules.check(&target(false, "::1", 8080), &Method::GET),
            Some(Allowed { private: true })
        );
        assert_eq!(rules.check(&target(true, "::1", 8080), &Method::GET), None);
        assert_eq!(
            rules.check(&target(false, "::1", 8080), &Method::POST),
            None
        );
        assert_eq!(rules.check(&target(false, "::1", 80), &Method::GET), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for host in ["", "*", "*.", "a..b", "a b", "http://x", "*.*.org"] {
            assert!(
                matches!(Rules::parse(&[grant(host)]), Err(LinkError::Http { .. })),
                "{host}"
            );
        }
    }
}
