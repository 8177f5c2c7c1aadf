//! The sample grains that are measured, built from source as `granary build` does it.

use std::path::Path;

use anyhow::Context as _;
use granary_node::project::Project;
use granary_node::project::build::Builder;
use serde_json::{Value, json};

/// A kind, ready to be deployed.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    /// Its name.
    pub(crate) kind: String,
    /// Its component.
    pub(crate) component: Vec<u8>,
    /// Its section of `granary.toml`.
    pub(crate) manifest: Value,
}

impl Guest {
    /// Builds a sample grain.
    pub(crate) async fn sample(kind: &str) -> anyhow::Result<Self> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("bench lies in the root")?;
        let project = Project::open(&repository.join("sample-grains"))?;
        let mut kinds = project
            .manifests
            .iter()
            .flat_map(|manifest| &manifest.kinds);
        let named = kinds
            .find(|found| found.spec.name.as_str() == kind)
            .with_context(|| format!("no sample '{kind}'"))?;
        let built = Builder::new(true, false)
            .build(&project, named, &|_| {})
            .await?;
        let manifest = serde_json::to_value(&named.section)?;
        Ok(Self {
            kind: kind.to_owned(),
            component: built.bytes,
            manifest,
        })
    }

    /// With some limits changed.
    pub(crate) fn limited(mut self, limits: &Value) -> Self {
        for (key, value) in limits.as_object().into_iter().flatten() {
            self.manifest["limits"][key] = value.clone();
        }
        self
    }

    /// The same under another name and another digest: the component gets a custom section that nobody reads.
    pub(crate) fn again(&self, number: u8) -> Self {
        let mut other = self.clone();
        other.kind = format!("{}-{number}", self.kind);
        // Section 0, of 6 bytes: a name of 4 bytes and one byte of content.
        other
            .component
            .extend([0, 6, 4, b'b', b'e', b'n', b'c', number]);
        other
    }

    /// What a deployment of it says.
    pub(crate) fn deployment(&self, digest: &str) -> Value {
        json!({ "component": digest, "manifest": self.manifest })
    }
}
