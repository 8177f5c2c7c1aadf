//! What must hold, when, and in whose view.

use std::collections::BTreeSet;
use std::time::Duration;

use granary_core::id::GrainId;
use granary_core::membership::event::ClusterEvent;
use granary_core::membership::member::Status;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as ValueError, StrDeserializer};

use super::node::Names;
use super::reader::{Field, Fields, Reader};

/// The most expectations of one scenario.
const EXPECTS_MAX: usize = 10_000;

/// When something must hold, from the start; both ends count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At this moment.
    At(Duration),
    /// At some moment between the two.
    Within(Duration, Duration),
    /// At every moment between the two.
    Always(Duration, Duration),
}

impl When {
    /// The first moment that counts.
    pub fn begin(self) -> Duration {
        match self {
            Self::At(at) => at,
            Self::Within(begin, _) | Self::Always(begin, _) => begin,
        }
    }

    /// The last moment that counts.
    pub fn end(self) -> Duration {
        match self {
            Self::At(at) => at,
            Self::Within(_, end) | Self::Always(_, end) => end,
        }
    }
}

/// One expectation. Nodes are named by their place in the scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// Its line.
    pub line: usize,
    /// When it must hold.
    pub when: When,
    /// In whose view; none for all nodes that run.
    pub on: Option<Vec<usize>>,
    /// What must hold, all of it at once.
    pub wants: Vec<Want>,
}

/// One thing that must hold in a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// A node has one of these statuses; `Removed` stands for "not in the view".
    Status(usize, Vec<Status>),
    /// Exactly these nodes are in the view.
    Members(BTreeSet<usize>),
    /// Exactly these are unreachable.
    Unreachable(BTreeSet<usize>),
    /// This one leads.
    Leader(Option<usize>),
    /// This one leads those with the role.
    RoleLeader(String, Option<usize>),
    /// This one is the oldest, of those with the role if one is named.
    Oldest(Option<String>, Option<usize>),
    /// These have ended by themselves; empty: nobody has.
    Terminated(BTreeSet<usize>),
    /// Whether the view has converged.
    Converged(bool),
    /// Events were published.
    Event(EventWant),
    /// A node's shared state reads so.
    State(usize, String, Option<String>),
    /// This node hosts a grain, as its kind and key alone have it.
    Place(GrainId, Option<usize>),
    /// Whether all the views are one.
    SameView(bool),
}

/// Which events are looked for; what is not named does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventWant {
    /// The name of the event's kind, such as `member-up`.
    pub name: Option<String>,
    /// Whom it is about; the inner none stands for "nobody".
    pub node: Option<Option<usize>>,
    /// The status that a removed member had before.
    pub previous: Option<Status>,
    /// The role, for an event about one.
    pub role: Option<String>,
    /// The data centre, for an event about one.
    pub dc: Option<String>,
    /// Exactly so many; at least one if none is named.
    pub count: Option<u64>,
    /// Names that must follow one another.
    pub order: Vec<String>,
}

pub(super) fn read<'t>(
    reader: &mut Reader<'t>,
    tables: Vec<Fields<'t>>,
    names: &Names,
) -> Vec<Expect> {
    if EXPECTS_MAX < tables.len() {
        reader.problem(1, "expect", format!("at most {EXPECTS_MAX} expectations"));
        return Vec::new();
    }
    let mut expects = Vec::new();
    for mut fields in tables {
        let when = when(reader, &mut fields);
        let on = fields.take("on").map(|field| names.some(reader, &field));
        let found = reader.problems.len();
        let wants = wants(reader, &mut fields, names);
        if let Some((when, line)) = when {
            if wants.is_empty() && reader.problems.len() == found {
                reader.problem(line, "expect", "expects nothing");
            }
            let negative =
                |want: &Want| !matches!(want, Want::Event(event) if event.count != Some(0));
            if matches!(when, When::Always(..)) && !wants.iter().all(negative) {
                reader.problem(
                    line,
                    "expect.event",
                    "an event is a moment, so it cannot be always; `within` says when, and `count = 0` says never",
                );
            }
            expects.push(Expect {
                line,
                when,
                on: on.flatten(),
                wants,
            });
        }
        reader.finish(fields);
    }
    expects
}

fn when<'t>(reader: &mut Reader<'t>, fields: &mut Fields<'t>) -> Option<(When, usize)> {
    let named = [
        ("at", fields.take("at")),
        ("within", fields.take("within")),
        ("always", fields.take("always")),
    ];
    let mut there = named
        .into_iter()
        .filter_map(|(name, field)| field.map(|field| (name, field)));
    let Some((name, field)) = there.next() else {
        reader.problem(
            fields.line,
            "expect",
            "one of at, within and always says when",
        );
        return None;
    };
    if let Some((_, double)) = there.next() {
        reader.slip(
            &double,
            format!("{name} is there, too: one of them will do"),
        );
        return None;
    }
    let when = match name {
        "at" => When::At(reader.duration(&field)?),
        "within" => {
            let (begin, end) = reader.range(&field)?;
            When::Within(begin, end)
        }
        _ => {
            let (begin, end) = reader.range(&field)?;
            When::Always(begin, end)
        }
    };
    Some((when, field.line))
}

fn wants<'t>(reader: &mut Reader<'t>, fields: &mut Fields<'t>, names: &Names) -> Vec<Want> {
    let mut wants = Vec::new();
    let set = |nodes: Vec<usize>| nodes.into_iter().collect::<BTreeSet<_>>();
    if let Some(field) = fields.take("status") {
        statuses(reader, &field, names, &mut wants);
    }
    if let Some(field) = fields.take("members") {
        wants.extend(names.list(reader, &field).map(set).map(Want::Members));
    }
    if let Some(field) = fields.take("unreachable") {
        wants.extend(names.list(reader, &field).map(set).map(Want::Unreachable));
    }
    if let Some(field) = fields.take("leader") {
        wants.extend(names.one_or_none(reader, &field).map(Want::Leader));
    }
    if let Some(field) = fields.take("role-leader") {
        for (role, field) in entries(reader, &field) {
            let leader = names.one_or_none(reader, &field);
            wants.extend(leader.map(|leader| Want::RoleLeader(role, leader)));
        }
    }
    if let Some(field) = fields.take("oldest") {
        if reader.is_table(&field) {
            for (role, field) in entries(reader, &field) {
                let oldest = names.one_or_none(reader, &field);
                wants.extend(oldest.map(|oldest| Want::Oldest(Some(role), oldest)));
            }
        } else {
            let oldest = names.one_or_none(reader, &field);
            wants.extend(oldest.map(|oldest| Want::Oldest(None, oldest)));
        }
    }
    if let Some(field) = fields.take("terminated") {
        wants.extend(names.list(reader, &field).map(set).map(Want::Terminated));
    }
    if let Some(field) = fields.take("converged") {
        wants.extend(reader.flag(&field).map(Want::Converged));
    }
    if let Some(field) = fields.take("event") {
        for field in reader.one_or_more(&field) {
            wants.extend(event(reader, &field, names).map(Want::Event));
        }
    }
    if let Some(field) = fields.take("state") {
        state(reader, &field, names, &mut wants);
    }
    if let Some(field) = fields.take("place") {
        place(reader, &field, names, &mut wants);
    }
    if let Some(field) = fields.take("same-view") {
        wants.extend(reader.flag(&field).map(Want::SameView));
    }
    wants
}

/// The entries of a table whose keys are words of the file's author.
fn entries<'t>(reader: &mut Reader<'t>, field: &Field<'t>) -> Vec<(String, Field<'t>)> {
    let table = reader.table(field);
    table.map_or_else(Vec::new, |mut fields| fields.take_rest())
}

/// A status by its name.
fn status<'t>(reader: &mut Reader<'t>, field: &Field<'t>) -> Option<Status> {
    let text = reader.text(field)?;
    let plain: StrDeserializer<'_, ValueError> = text.as_str().into_deserializer();
    let status = Status::deserialize(plain);
    if status.is_err() {
        let known = "joining, weakly-up, up, preparing-for-shutdown, ready-for-shutdown, leaving, exiting, down, removed";
        reader.slip(field, format!("\"{text}\" is none of: {known}"));
    }
    status.ok()
}

fn statuses<'t>(reader: &mut Reader<'t>, field: &Field<'t>, names: &Names, wants: &mut Vec<Want>) {
    for (name, field) in entries(reader, field) {
        let node = names.find(reader, &field, &name);
        let items = reader.one_or_more(&field);
        if items.is_empty() {
            reader.slip(&field, "names no status");
        }
        let statuses: Vec<Status> = items
            .iter()
            .filter_map(|item| status(reader, item))
            .collect();
        wants.extend(node.map(|node| Want::Status(node, statuses)));
    }
}

fn event_name<'t>(reader: &mut Reader<'t>, field: &Field<'t>) -> Option<String> {
    let name = reader.text(field)?;
    if ClusterEvent::NAMES.contains(&name.as_str()) {
        return Some(name);
    }
    let known = ClusterEvent::NAMES.join(", ");
    reader.slip(field, format!("\"{name}\" is none of: {known}"));
    None
}

/// What only some events have cannot be looked for in others.
fn only(reader: &mut Reader<'_>, field: &Field<'_>, want: &EventWant, have: &[&str]) {
    if let Some(name) = want.name.as_deref().filter(|name| !have.contains(name)) {
        let have = have.join(" and ");
        reader.slip(field, format!("{name} has none; {have} may"));
    }
}

fn event<'t>(reader: &mut Reader<'t>, field: &Field<'t>, names: &Names) -> Option<EventWant> {
    let mut fields = reader.table(field)?;
    let mut want = EventWant::default();
    let found = reader.problems.len();
    if let Some(name) = fields.take("name") {
        want.name = event_name(reader, &name);
    }
    if let Some(node) = fields.take("node") {
        want.node = names.one_or_none(reader, &node);
    }
    if let Some(previous) = fields.take("previous") {
        want.previous = status(reader, &previous);
        only(reader, &previous, &want, &["member-removed"]);
    }
    if let Some(role) = fields.take("role") {
        want.role = reader.text(&role);
        only(reader, &role, &want, &["role-leader-changed"]);
    }
    if let Some(dc) = fields.take("dc") {
        want.dc = reader.text(&dc);
        let of_dcs = ["unreachable-data-center", "reachable-data-center"];
        only(reader, &dc, &want, &of_dcs);
    }
    if let Some(count) = fields.take("count") {
        want.count = reader.number(&count);
    }
    if let Some(order) = fields.take("order") {
        let items = reader.items(&order);
        want.order = items
            .iter()
            .filter_map(|item| event_name(reader, item))
            .collect();
        if want.name.is_some() || want.count.is_some() {
            reader.slip(
                &order,
                "names the events by itself; name and count do not go with it",
            );
        }
    }
    reader.finish(fields);
    if want == EventWant::default() && reader.problems.len() == found {
        reader.slip(field, "names no event");
    }
    (reader.problems.len() == found).then_some(want)
}

fn place<'t>(reader: &mut Reader<'t>, field: &Field<'t>, names: &Names, wants: &mut Vec<Want>) {
    for (grain, field) in entries(reader, field) {
        let host = names.one_or_none(reader, &field);
        match GrainId::parse(&grain) {
            Ok(grain) => wants.extend(host.map(|host| Want::Place(grain, host))),
            Err(error) => reader.slip(&field, error.to_string()),
        }
    }
}

fn state<'t>(reader: &mut Reader<'t>, field: &Field<'t>, names: &Names, wants: &mut Vec<Want>) {
    for (name, field) in entries(reader, field) {
        if reader.is_table(&field) {
            let node = names.find(reader, &field, &name);
            for (key, value) in entries(reader, &field) {
                let value = reader.text_or_none(&value);
                wants.extend(
                    node.zip(value)
                        .map(|(node, value)| Want::State(node, key, value)),
                );
            }
            continue;
        }
        let Some((node, key)) = name.split_once('/') else {
            reader.slip(
                &field,
                "a node and a key are wanted: \"a/key\" = \"value\", or a = { key = \"value\" }",
            );
            continue;
        };
        let node = names.find(reader, &field, node);
        let value = reader.text_or_none(&field);
        wants.extend(
            node.zip(value)
                .map(|(node, value)| Want::State(node, key.to_owned(), value)),
        );
    }
}
