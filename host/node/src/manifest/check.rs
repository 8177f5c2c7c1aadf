//! From sections as written to settings that hold: every bound and every form is checked here, once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use granary_core::id::KindName;
use granary_core::kind::{DirectoryGrant, Grants, HttpGrant, KindSpec, MethodSpec};
use granary_core::limits::Limits;

use crate::config::units::{Period, Size};
use crate::manifest::sections::{
    DirectorySection, GrantsSection, HttpRule, KindSection, LimitsSection, MethodSection,
};

/// A value that does not hold, by its path within the section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The path within the section.
    pub path: Vec<String>,
    /// What is wrong, and what would be right.
    pub why: String,
}

impl Wrong {
    /// A wrong value at a path.
    pub fn new(path: &[&str], why: impl Into<String>) -> Self {
        Self {
            path: path.iter().map(|part| (*part).to_owned()).collect(),
            why: why.into(),
        }
    }
}

impl KindSection {
    /// Checks everything that can be checked without the component. All wrong values are reported at once.
    pub fn check(&self, name: &KindName) -> Result<KindSpec, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let limits = self.limits.check(&mut wrong);
        let methods = self
            .methods
            .iter()
            .map(|(name, method)| (name.clone(), method.check(name, &mut wrong)))
            .collect();
        let grants = self.grants.check(&mut wrong);
        let clients = self.clients(&mut wrong);
        if self.description.len() > 1000 {
            wrong.push(Wrong::new(&["description"], "is longer than 1000 bytes"));
        }
        if wrong.is_empty() {
            Ok(KindSpec {
                name: name.clone(),
                description: self.description.clone(),
                methods,
                limits,
                grants,
                clients,
            })
        } else {
            Err(wrong)
        }
    }
}

impl KindSection {
    fn clients(&self, wrong: &mut Vec<Wrong>) -> BTreeMap<String, KindName> {
        let mut clients = BTreeMap::new();
        for (package, kind) in &self.clients {
            let mut refuse = |why: String| wrong.push(Wrong::new(&["clients", package], why));
            let is_client = package.split_once(':').is_some_and(|(namespace, name)| {
                !namespace.is_empty() && 7 < name.len() && name.ends_with("-client")
            });
            if !is_client || package.contains(['@', '/']) {
                refuse(
                    "is no client package; write it without interface and version, such as \"demo:counter-client\"".to_owned(),
                );
            }
            match KindName::parse(kind) {
                Ok(kind) => {
                    clients.insert(package.clone(), kind);
                }
                Err(error) => refuse(error.to_string()),
            }
        }
        clients
    }
}

/// A limit's three values, in the type that people write.
struct Bounds<T> {
    default: T,
    least: T,
    most: T,
}

fn bounded<T: PartialOrd + Display + Copy>(
    field: &str,
    value: Option<T>,
    bounds: &Bounds<T>,
    wrong: &mut Vec<Wrong>,
) -> T {
    let Some(value) = value else {
        return bounds.default;
    };
    if value < bounds.least || bounds.most < value {
        let why = format!(
            "{value} is out of range: {} to {}",
            bounds.least, bounds.most
        );
        wrong.push(Wrong::new(&["limits", &field.replace('_', "-")], why));
        return bounds.default;
    }
    value
}

/// One field of a section against the same field of the three [`Limits`].
macro_rules! check {
    ($section:ident, $wrong:ident, $field:ident, $wrap:expr) => {{
        let (default, least, most) = (
            Limits::DEFAULT.$field,
            Limits::MIN.$field,
            Limits::MAX.$field,
        );
        let bounds = Bounds {
            default: $wrap(default),
            least: $wrap(least),
            most: $wrap(most),
        };
        bounded(stringify!($field), $section.$field, &bounds, $wrong)
    }};
}

fn plain(value: u32) -> u32 {
    value
}

fn rate(value: u32) -> Size {
    Size(u64::from(value))
}

impl LimitsSection {
    /// The section that says what `limits` holds.
    pub fn of(limits: &Limits) -> Self {
        Self {
            memory: Some(Size(limits.memory)),
            cpu_time: Some(Period(limits.cpu_time)),
            wall_time: Some(Period(limits.wall_time)),
            call_timeout: Some(Period(limits.call_timeout)),
            mailbox_calls: Some(limits.mailbox_calls),
            mailbox_bytes: Some(Size(limits.mailbox_bytes)),
            arguments: Some(Size(limits.arguments)),
            result: Some(Size(limits.result)),
            host_memory: Some(Size(limits.host_memory)),
            state_value: Some(Size(limits.state_value)),
            state_total: Some(Size(limits.state_total)),
            sends: Some(limits.sends),
            log_rate: Some(rate(limits.log_rate)),
            idle: Some(Period(limits.idle)),
            activation_time: Some(Period(limits.activation_time)),
            deactivation_time: Some(Period(limits.deactivation_time)),
            http_body: Some(Size(limits.http_body)),
            tail_time: Some(Period(limits.tail_time)),
        }
    }

    fn check(&self, wrong: &mut Vec<Wrong>) -> Limits {
        let log_rate = check!(self, wrong, log_rate, rate).0;
        Limits {
            memory: check!(self, wrong, memory, Size).0,
            cpu_time: check!(self, wrong, cpu_time, Period).0,
            wall_time: check!(self, wrong, wall_time, Period).0,
            call_timeout: check!(self, wrong, call_timeout, Period).0,
            mailbox_calls: check!(self, wrong, mailbox_calls, plain),
            mailbox_bytes: check!(self, wrong, mailbox_bytes, Size).0,
            arguments: check!(self, wrong, arguments, Size).0,
            result: check!(self, wrong, result, Size).0,
            host_memory: check!(self, wrong, host_memory, Size).0,
            state_value: check!(self, wrong, state_value, Size).0,
            state_total: check!(self, wrong, state_total, Size).0,
            sends: check!(self, wrong, sends, plain),
            log_rate: log_rate.try_into().unwrap_or(u32::MAX),
            idle: check!(self, wrong, idle, Period).0,
            activation_time: check!(self, wrong, activation_time, Period).0,
            deactivation_time: check!(self, wrong, deactivation_time, Period).0,
            http_body: check!(self, wrong, http_body, Size).0,
            tail_time: check!(self, wrong, tail_time, Period).0,
        }
    }
}

impl MethodSection {
    fn check(&self, name: &str, wrong: &mut Vec<Wrong>) -> MethodSpec {
        let mut refuse =
            |key: &str, why: String| wrong.push(Wrong::new(&["methods", name, key], why));
        if let Some(Period(timeout)) = self.timeout
            && !(Limits::MIN.call_timeout..=Limits::MAX.call_timeout).contains(&timeout)
        {
            let (least, most) = (
                Period(Limits::MIN.call_timeout),
                Period(Limits::MAX.call_timeout),
            );
            refuse(
                "timeout",
                format!("{} is out of range: {least} to {most}", Period(timeout)),
            );
        }
        if let Some(status) = self.err_status
            && !(400..600).contains(&status)
        {
            refuse(
                "err-status",
                format!("{status} is out of range: 400 to 599"),
            );
        }
        if self.cache.is_some()
            && granary_core::kind::Mode::from(self.mode) != granary_core::kind::Mode::Read
        {
            refuse(
                "cache",
                "is only for methods with mode = \"read\"".to_owned(),
            );
        }
        let cache_seconds = self.cache.map(|Period(cache)| {
            if cache.subsec_nanos() != 0 || Duration::from_secs(u64::from(u32::MAX)) < cache {
                refuse(
                    "cache",
                    format!("{} is not a whole number of seconds", Period(cache)),
                );
            }
            u32::try_from(cache.as_secs()).unwrap_or(u32::MAX)
        });
        MethodSpec {
            mode: self.mode.into(),
            timeout: self.timeout.map(|Period(timeout)| timeout),
            rollback_on_err: self.rollback_on_err,
            err_status: self.err_status,
            cache_seconds,
        }
    }
}

impl GrantsSection {
    fn check(&self, wrong: &mut Vec<Wrong>) -> Grants {
        let mut collect = |list: &str, at: usize, problem: (&str, String)| {
            let (key, why) = problem;
            let at = at.to_string();
            let path: Vec<&str> = ["grants", list, &at]
                .into_iter()
                .chain((!key.is_empty()).then_some(key))
                .collect();
            wrong.push(Wrong::new(&path, why));
        };
        let mut directories = Vec::new();
        for (at, section) in self.directories.iter().enumerate() {
            match directory(section) {
                Ok(grant) => directories.push(grant),
                Err(problem) => collect("directories", at, problem),
            }
        }
        let mut http = Vec::new();
        for (at, rule) in self.http.iter().enumerate() {
            match http_rule(rule) {
                Ok(grant) => http.push(grant),
                Err(problem) => collect("http", at, problem),
            }
        }
        for name in self
            .environment
            .keys()
            .filter(|name| name.is_empty() || name.contains(['=', '\0']))
        {
            wrong.push(Wrong::new(
                &["grants", "environment", name],
                "is no name of an environment variable",
            ));
        }
        let environment: BTreeMap<String, String> = self.environment.clone();
        Grants {
            directories,
            environment,
            config: self.config.clone(),
            http,
        }
    }
}

type Refused = (&'static str, String);

fn directory(section: &DirectorySection) -> Result<DirectoryGrant, Refused> {
    if section.host.is_empty() {
        return Err(("host", "is empty".to_owned()));
    }
    if !section.guest.starts_with('/') || section.guest.split('/').any(|part| part == "..") {
        return Err(("guest", format!("'{}' is no absolute path", section.guest)));
    }
    Ok(DirectoryGrant {
        host: section.host.clone(),
        guest: section.guest.clone(),
        writable: section.writable,
    })
}

fn http_rule(rule: &HttpRule) -> Result<HttpGrant, Refused> {
    match rule {
        HttpRule::Text(text) => host_rule(text).map_err(|why| ("", why)),
        HttpRule::Table(table) => {
            let rule = host_rule(&table.host).map_err(|why| ("host", why))?;
            for method in &table.methods {
                if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
                {
                    return Err((
                        "methods",
                        format!(
                            "'{method}' is no HTTP method; write it in capitals, such as \"GET\""
                        ),
                    ));
                }
            }
            Ok(HttpGrant {
                methods: table.methods.clone(),
                private: table.private,
                ..rule
            })
        }
    }
}

fn host_rule(text: &str) -> Result<HttpGrant, String> {
    let wrong = || {
        format!(
            "'{text}' is no host; write [scheme://]host[:port], such as \"https://api.example.com\" or \"*.example.com:8443\""
        )
    };
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (Some(scheme.to_owned()), rest),
        Some((scheme, _)) => return Err(format!("the scheme is http or https, not '{scheme}'")),
        None => (None, text),
    };
    // An address of version 6 stands in brackets; its colons are no port.
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            (host, Some(port.parse::<u16>().map_err(|_| wrong())?))
        }
        Some(_) | None => (rest, None),
    };
    let domain = host.strip_prefix("*.").unwrap_or(host);
    let is_name = !domain.is_empty()
        && domain
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        && domain.split('.').all(|label| !label.is_empty());
    let is_v6 = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .is_some_and(|h| h.parse::<std::net::Ipv6Addr>().is_ok());
    if !is_name && !is_v6 {
        return Err(wrong());
    }
    Ok(HttpGrant {
        scheme,
        host: host.to_ascii_lowercase(),
        port,
        methods: Vec::new(),
        private: false,
    })
}
