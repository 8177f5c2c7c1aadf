//! The words of a client package.
//!
//! They are written plainly, every name with a `%` before it, then read by the parser and printed by its own printer: what does not parse
//! is never given out, and a keyword is marked where it must be.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use wit_component::WitPrinter;
use wit_parser::Resolve;

use super::source::push_grain;
use super::{ClientError, Look};
use crate::Method;
use crate::compare::outcomes;
use crate::interface::{APP, CALL, Members, RESOURCE, Shape, Ty, Types, WITH_OPTIONS};

const TYPES: &str = "granary:grain/types@0.1.0";
const CALLS: &str = "granary:grain/calls@0.1.0";

pub(super) fn package(
    interfaces: &[(&str, &str, Vec<&Method>)],
    look: &Look,
) -> Result<String, ClientError> {
    let kind = look.kind()?;
    let mut text = format!(
        "/// Calls to grains of the kind `{kind}`. Made by `granary wit client {kind}` from what the kind exports; make it anew instead of changing it.\npackage {};\n",
        look.package
    );
    for (full, name, methods) in interfaces {
        let mut writer = Writer {
            types: &methods[0].types,
            names: HashMap::new(),
            used: BTreeMap::new(),
            definitions: String::new(),
            look,
        };
        text.push_str(&writer.interface(full, name, methods));
    }
    let unwritable = |error: anyhow::Error| ClientError::Unwritable {
        why: format!("{error:#}"),
    };
    let mut resolve = Resolve::default();
    push_grain(&mut resolve).map_err(unwritable)?;
    let id = resolve
        .push_str("client.wit", &text)
        .map_err(|error| unwritable(anyhow::anyhow!(resolve.render_error(&error))))?;
    let mut printer = WitPrinter::default();
    printer.print(&resolve, id, &[]).map_err(unwritable)?;
    Ok(format!("{}\n", printer.output.to_string().trim_end()))
}

struct Writer<'m> {
    types: &'m Types,
    /// What each named type is called here.
    names: HashMap<Ty, String>,
    /// The names that are taken, with the package's own interface that the type is used from, if it is.
    used: BTreeMap<String, Option<&'static str>>,
    definitions: String,
    look: &'m Look,
}

impl<'m> Writer<'m> {
    fn interface(&mut self, full: &str, name: &str, methods: &[&'m Method]) -> String {
        let with_options = !methods.iter().any(|method| method.function == WITH_OPTIONS);
        self.used.insert(RESOURCE.to_owned(), None);
        self.used.insert("call-error".to_owned(), Some(TYPES));
        if with_options {
            self.used.insert("call-options".to_owned(), Some(CALLS));
        }
        let mut functions = String::new();
        for method in methods {
            self.method(&mut functions, method);
        }
        let mut text = format!("/// What `{full}` offers to other grains.\ninterface %{name} {{\n");
        for from in [TYPES, CALLS] {
            let used = self.used.iter().filter(|(_, used)| **used == Some(from));
            let names: Vec<_> = used.map(|(name, _)| format!("%{name}")).collect();
            if !names.is_empty() {
                writeln!(text, "use {from}.{{{}}};", names.join(", ")).expect("into a string");
            }
        }
        text.push_str(&self.definitions);
        text.push_str("/// A grain. Making one reaches nobody: a first call activates the grain, and answers `invalid` if the key is none.\n");
        writeln!(text, "resource %{RESOURCE} {{\nconstructor(key: string);")
            .expect("into a string");
        if with_options {
            text.push_str("/// The same with a time to wait for every call; or with an idempotency key, which is for one call.\n");
            writeln!(
                text,
                "%{WITH_OPTIONS}: static func(key: string, options: %call-options) -> %{RESOURCE};"
            )
            .expect("into a string");
        }
        text + &functions + "}\n}\n"
    }

    fn method(&mut self, out: &mut String, method: &'m Method) {
        docs(out, method.docs.as_deref());
        let params: Vec<_> = method
            .params
            .iter()
            .map(|param| format!("%{}: {}", param.name, self.mention(param.ty)))
            .collect();
        let (ok, err) = outcomes(method);
        let ok = ok.map_or_else(|| "_".to_owned(), |ty| self.mention(ty));
        let err = match err {
            None => "%call-error".to_owned(),
            Some(own) => format!("%{}", self.merged(method, own)),
        };
        let func = if self.look.is_async {
            "async func"
        } else {
            "func"
        };
        writeln!(
            out,
            "%{}: {func}({}) -> result<{ok}, {err}>;",
            method.function,
            params.join(", ")
        )
        .expect("into a string");
    }

    /// The variant that holds an own error or the call's: one for each type of own error.
    fn merged(&mut self, method: &Method, own: Option<Ty>) -> String {
        let own = own.map(|ty| (self.mention(ty), ty));
        let payload = own.as_ref().map(|(own, _)| format!("({own})"));
        let of = match &own {
            None => "none".to_owned(),
            Some((own, _))
                if own
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"%-".contains(&b)) =>
            {
                own.trim_start_matches('%').to_owned()
            }
            Some(_) => format!("{}-err", method.function),
        };
        let name = format!("{of}-or-call");
        let (payload, line) = (payload.unwrap_or_default(), format!("variant %{name} {{"));
        if self.definitions.contains(&line) {
            return name;
        }
        self.used.insert(name.clone(), None);
        let text = format!(
            "/// Why there is no answer.\n{line}\n/// The method's own error. Its turn was committed, unless the kind says otherwise.\n{APP}{payload},\n/// The call failed.\n{CALL}(%call-error),\n}}\n"
        );
        self.definitions.push_str(&text);
        name
    }

    /// A type where it is used: a name, which is defined before, or what it is made of.
    fn mention(&mut self, ty: Ty) -> String {
        let Some(named) = self.types.name(ty) else {
            return self.inside(ty);
        };
        if let Some(known) = self.names.get(&ty) {
            return format!("%{known}");
        }
        let from = match named
            .interface
            .as_deref()
            .and_then(|full| full.split('@').next())
        {
            Some("granary:grain/types") => Some(TYPES),
            Some("granary:grain/calls") => Some(CALLS),
            Some(_) | None => None,
        };
        if from.is_some() {
            self.used.insert(named.name.clone(), from);
            self.names.insert(ty, named.name.clone());
            return format!("%{}", named.name);
        }
        let name = self.free(&named.name, named.interface.as_deref());
        self.used.insert(name.clone(), None);
        self.names.insert(ty, name.clone());
        self.define(ty, &name);
        format!("%{name}")
    }

    /// A name that nothing else has here: the type's own, if it can be.
    fn free(&self, name: &str, interface: Option<&str>) -> String {
        if !self.used.contains_key(name) {
            return name.to_owned();
        }
        let interface = interface
            .unwrap_or("own")
            .split('@')
            .next()
            .unwrap_or("own");
        let interface = interface.rsplit('/').next().unwrap_or(interface);
        let mut candidate = format!("{interface}-{name}");
        while self.used.contains_key(&candidate) {
            candidate.push('x');
        }
        candidate
    }

    fn define(&mut self, ty: Ty, name: &str) {
        let mut text = String::new();
        docs(
            &mut text,
            self.types.name(ty).and_then(|named| named.docs.as_deref()),
        );
        let types = self.types;
        match types.shape(ty) {
            Shape::Record(members, of) => {
                let of = of
                    .iter()
                    .map(|ty| format!(": {}", self.mention(*ty)))
                    .collect();
                body(&mut text, "record", name, members, of);
            }
            Shape::Variant(members, of) => {
                let payload = |ty: &Option<Ty>| {
                    ty.map_or_else(String::new, |ty| format!("({})", self.mention(ty)))
                };
                let of = of.iter().map(payload).collect();
                body(&mut text, "variant", name, members, of);
            }
            Shape::Enum(members) => body(&mut text, "enum", name, members, Vec::new()),
            Shape::Flags(members) => body(&mut text, "flags", name, members, Vec::new()),
            Shape::Bool
            | Shape::S8
            | Shape::U8
            | Shape::S16
            | Shape::U16
            | Shape::S32
            | Shape::U32
            | Shape::S64
            | Shape::U64
            | Shape::F32
            | Shape::F64
            | Shape::Char
            | Shape::String
            | Shape::Bytes
            | Shape::List(_)
            | Shape::FixedList(..)
            | Shape::Map(..)
            | Shape::Tuple(_)
            | Shape::Option(_)
            | Shape::NestedOption(_)
            | Shape::Result(..)
            | Shape::Live(_) => {
                writeln!(text, "type %{name} = {};", self.inside(ty)).expect("into a string");
            }
        }
        // Whatever it is made of was defined meanwhile, so it stands before.
        self.definitions.push_str(&text);
    }

    /// What a type without a name of its own is made of.
    fn inside(&mut self, ty: Ty) -> String {
        let types = self.types;
        match types.shape(ty) {
            Shape::List(of) => format!("list<{}>", self.mention(*of)),
            Shape::FixedList(of, len) => format!("list<{}, {len}>", self.mention(*of)),
            Shape::Map(key, value) => {
                format!("map<{}, {}>", self.mention(*key), self.mention(*value))
            }
            Shape::Tuple(of) => {
                let parts: Vec<_> = of.iter().map(|ty| self.mention(*ty)).collect();
                format!("tuple<{}>", parts.join(", "))
            }
            Shape::Option(of) | Shape::NestedOption(of) => format!("option<{}>", self.mention(*of)),
            Shape::Result(None, None) => "result".to_owned(),
            Shape::Result(Some(ok), None) => format!("result<{}>", self.mention(*ok)),
            Shape::Result(ok, Some(err)) => {
                let ok = ok.map_or_else(|| "_".to_owned(), |ty| self.mention(ty));
                format!("result<{ok}, {}>", self.mention(*err))
            }
            Shape::Bool
            | Shape::S8
            | Shape::U8
            | Shape::S16
            | Shape::U16
            | Shape::S32
            | Shape::U32
            | Shape::S64
            | Shape::U64
            | Shape::F32
            | Shape::F64
            | Shape::Char
            | Shape::String
            | Shape::Bytes
            | Shape::Record(..)
            | Shape::Variant(..)
            | Shape::Enum(_)
            | Shape::Flags(_)
            | Shape::Live(_) => types.wit_inside(ty),
        }
    }
}

fn docs(out: &mut String, docs: Option<&str>) {
    for line in docs.into_iter().flat_map(str::lines) {
        writeln!(out, "/// {line}").expect("into a string");
    }
}

fn body(out: &mut String, sort: &str, name: &str, members: &Members, of: Vec<String>) {
    writeln!(out, "{sort} %{name} {{").expect("into a string");
    let mut of = of.into_iter();
    for member in members.iter() {
        docs(out, member.docs.as_deref());
        let of = of.next().unwrap_or_default();
        writeln!(out, "%{}{of},", member.name).expect("into a string");
    }
    out.push_str("}\n");
}
