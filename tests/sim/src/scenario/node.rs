//! The nodes of a scenario, and the settings that they start with.

use std::collections::{BTreeMap, BTreeSet};

use granary_core::id::KindName;
use granary_core::membership::address::Address;
use granary_core::membership::member::{AppVersion, Profile};
use granary_core::membership::settings::Settings;

use super::reader::{Field, Fields, Reader};

/// Every node's port.
const PORT: u16 = 7000;

/// One node of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name, which is its host, too.
    pub name: String,
    /// Where it listens.
    pub address: Address,
    /// What it says of itself.
    pub profile: Profile,
    /// Whom it asks first, in this order.
    pub seeds: Vec<Address>,
    /// The settings of its first start.
    pub settings: Settings,
    /// The same as text.
    pub(super) cluster: toml::Table,
}

/// The nodes by name.
#[derive(Debug, Default)]
pub(super) struct Names {
    places: BTreeMap<String, usize>,
    names: Vec<String>,
}

impl Names {
    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    pub(super) fn name(&self, node: usize) -> &str {
        &self.names[node]
    }

    /// The node of that name; a slip of `field` if there is none.
    pub(super) fn find(
        &self,
        reader: &mut Reader<'_>,
        field: &Field<'_>,
        name: &str,
    ) -> Option<usize> {
        let place = self.places.get(name).copied();
        if place.is_none() {
            reader.slip(field, format!("there is no node \"{name}\""));
        }
        place
    }

    /// The node that `field` names.
    pub(super) fn one<'t>(&self, reader: &mut Reader<'t>, field: &Field<'t>) -> Option<usize> {
        let name = reader.text(field)?;
        self.find(reader, field, &name)
    }

    /// The node that `field` names, or nobody for `false`.
    pub(super) fn one_or_none<'t>(
        &self,
        reader: &mut Reader<'t>,
        field: &Field<'t>,
    ) -> Option<Option<usize>> {
        match reader.text_or_none(field)? {
            Some(name) => self.find(reader, field, &name).map(Some),
            None => Some(None),
        }
    }

    /// The nodes that `field` names; `"all"` names all.
    pub(super) fn list<'t>(
        &self,
        reader: &mut Reader<'t>,
        field: &Field<'t>,
    ) -> Option<Vec<usize>> {
        let texts = reader.texts(field);
        if texts == ["all"] && !self.places.contains_key("all") {
            return Some((0..self.count()).collect());
        }
        let found: Vec<Option<usize>> = texts
            .iter()
            .map(|name| self.find(reader, field, name))
            .collect();
        let found: Vec<usize> = found.into_iter().collect::<Option<_>>()?;
        let mut before = BTreeSet::new();
        if let Some(double) = found.iter().find(|node| !before.insert(**node)) {
            reader.slip(field, format!("\"{}\" is there twice", self.name(*double)));
            return None;
        }
        Some(found)
    }

    /// The same where nobody at all would mean nothing.
    pub(super) fn some<'t>(
        &self,
        reader: &mut Reader<'t>,
        field: &Field<'t>,
    ) -> Option<Vec<usize>> {
        let found = self.list(reader, field)?;
        if found.is_empty() {
            reader.slip(field, "names no node");
            return None;
        }
        Some(found)
    }
}

/// Reads `[[node]]`; the seeds are looked up once every name is known.
pub(super) fn read<'t>(reader: &mut Reader<'t>, tables: Vec<Fields<'t>>) -> (Vec<Node>, Names) {
    let (mut nodes, mut names, mut seeds) = (Vec::new(), Names::default(), Vec::new());
    if tables.is_empty() {
        reader.problem(1, "node", "a scenario has at least one [[node]]");
    }
    if super::NODES_MAX < tables.len() {
        reader.problem(1, "node", format!("at most {} nodes", super::NODES_MAX));
        return (nodes, names);
    }
    for mut fields in tables {
        let own_seeds = fields.take("seeds");
        let node = node(reader, &mut fields);
        let line = fields.line;
        reader.finish(fields);
        let Some(node) = node else { continue };
        if names.places.contains_key(&node.name) {
            reader.problem(
                line,
                "node.name",
                format!("\"{}\" is there twice", node.name),
            );
            continue;
        }
        names.places.insert(node.name.clone(), nodes.len());
        names.names.push(node.name.clone());
        nodes.push(node);
        seeds.push(own_seeds);
    }
    let first = nodes.first().map(|node| node.address.clone());
    for (place, own) in seeds.into_iter().enumerate() {
        let named = own.and_then(|field| names.list(reader, &field));
        nodes[place].seeds = match named {
            Some(named) => named
                .into_iter()
                .map(|seed| nodes[seed].address.clone())
                .collect(),
            None => first.iter().cloned().collect(),
        };
    }
    (nodes, names)
}

fn node<'t>(reader: &mut Reader<'t>, fields: &mut Fields<'t>) -> Option<Node> {
    let Some(name_field) = fields.take("name") else {
        reader.problem(fields.line, "node.name", "every node has a name");
        return None;
    };
    let name = reader.text(&name_field)?;
    let address = match Address::new(&name, PORT) {
        Ok(address) => address,
        Err(error) => {
            reader.slip(&name_field, error.to_string());
            return None;
        }
    };
    let mut profile = Profile::plain();
    if let Some(field) = fields.take("roles") {
        let roles = reader.texts(&field);
        profile.roles = roles.into_iter().map(Into::into).collect();
    }
    if let Some(field) = fields.take("dc") {
        profile.dc = reader.text(&field)?.into();
    }
    if let Some(field) = fields.take("app-version") {
        match AppVersion::parse(&reader.text(&field)?) {
            Ok(version) => profile.app_version = version,
            Err(error) => reader.slip(&field, error.to_string()),
        }
    }
    if let Some(field) = fields.take("kinds") {
        for kind in reader.texts(&field) {
            match KindName::parse(&kind) {
                Ok(kind) => {
                    profile.kinds.insert(kind);
                }
                Err(error) => reader.slip(&field, error.to_string()),
            }
        }
    }
    if let Some(field) = fields.take("capacity") {
        match reader.number(&field).map(u32::try_from) {
            Some(Ok(capacity)) => profile.capacity = capacity,
            Some(Err(_too_large)) => reader.slip(&field, "a capacity fits into 32 bits"),
            None => {}
        }
    }
    if let Some(field) = fields.take("labels") {
        let labels = reader.table(&field)?.take_rest();
        for (label, value) in labels {
            let value = reader.text(&value)?;
            profile.labels.insert(label.into(), value.into());
        }
    }
    if let Err(error) = profile.check() {
        reader.problem(fields.line, &fields.key, error.to_string());
        return None;
    }
    Some(Node {
        name,
        address,
        profile,
        seeds: Vec::new(),
        settings: Settings::default(),
        cluster: toml::Table::new(),
    })
}

/// Gives every node the settings of `[cluster]`.
pub(super) fn settle<'t>(reader: &mut Reader<'t>, nodes: &mut [Node], cluster: Option<Field<'t>>) {
    let (mut text, mut settings) = (toml::Table::new(), Settings::default());
    if let Some(field) = &cluster {
        let typed = reader.table(field).and_then(|_| reader.typed(field));
        let Some(typed) = typed else { return };
        settings = typed;
        if let Some(toml::Value::Table(table)) = reader.value(field) {
            text = table;
        }
    }
    let mut told = BTreeSet::new();
    for node in nodes {
        node.cluster.clone_from(&text);
        node.settings = settings.clone();
        let Err(error) = settings.check(&node.profile) else {
            continue;
        };
        for problem in error.problems {
            let line = match &cluster {
                Some(field) => reader.line_of(field, &problem.setting),
                None => 1,
            };
            let said = (problem.setting.clone(), problem.reason.clone());
            if told.insert(said) {
                let key = format!("cluster.{}", problem.setting);
                reader.problem(line, &key, problem.reason);
            }
        }
    }
}

/// Lays `over` on `under`: tables are merged, everything else is replaced.
pub(super) fn overlay(under: &mut toml::Table, over: &toml::Table) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => overlay(under, over),
            (Some(slot), value) => *slot = value.clone(),
            (None, value) => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}
