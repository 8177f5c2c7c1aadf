//! A kind's granted settings, under each of the names by which components ask for them.

use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Linker, Lower};

use crate::bindings::fermyon::spin::variables;
use crate::bindings::wasi::{config0_2_0_draft, config0_2_0_draft_2024_09_27, config0_2_0_rc_1};
use crate::guest::Guest;

type Store<'a> = StoreContextMut<'a, Guest>;

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    store::<config0_2_0_rc_1::store::Error>(linker, "wasi:config/store@0.2.0-rc.1")?;
    store::<config0_2_0_draft_2024_09_27::store::Error>(
        linker,
        "wasi:config/store@0.2.0-draft-2024-09-27",
    )?;
    store::<config0_2_0_draft::runtime::ConfigError>(linker, "wasi:config/runtime@0.2.0-draft")?;
    let mut spin = linker.instance("fermyon:spin/variables@2.0.0")?;
    spin.func_wrap("get", |store: Store<'_>, (name,): (String,)| {
        let value = setting(&store, &name);
        Ok((value.ok_or_else(|| {
            variables::Error::Undefined(format!("the manifest's grants.config has no '{name}'"))
        }),))
    })
}

/// One of the two shapes of `wasi:config`. `E` is its error, which nothing here leads to.
fn store<E>(linker: &mut Linker<Guest>, name: &str) -> wasmtime::Result<()>
where
    E: ComponentType + Lower + Send + Sync + 'static,
{
    let mut config = linker.instance(name)?;
    config.func_wrap("get", |store: Store<'_>, (key,): (String,)| {
        Ok((Ok::<_, E>(setting(&store, &key)),))
    })?;
    config.func_wrap("get-all", |store: Store<'_>, (): ()| {
        let all: Vec<_> = granted(&store)
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Ok((Ok::<_, E>(all),))
    })
}

fn setting(store: &Store<'_>, name: &str) -> Option<String> {
    granted(store).get(name).cloned()
}

fn granted<'a>(store: &'a Store<'_>) -> &'a std::collections::BTreeMap<String, String> {
    &store.data().linked.granted().config
}
