//! What a guest may import, linked for both engines.
//!
//! Each function of `granary:grain` has one body. How it reaches the store differs: a synchronous guest lends its store to the function for as
//! long as it runs, an async one only between two awaits, so that its other turns go on meanwhile. [`Reach`] hides that.

pub(crate) mod blobs;
mod calls;
pub(crate) mod clients;
mod context;
pub(crate) mod keyvalue;
mod logging;
mod settings;
mod state;

use std::future::Future;
use std::sync::Arc;

use wasmtime::component::{
    Accessor, ComponentNamedList, Lift, Linker, LinkerInstance, Lower, Resource,
};
use wasmtime::{AsContextMut, StoreContextMut};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::LinkOptions;

use crate::guest::Guest;
use crate::guest::turn::{BesideId, Turn};
use crate::host::CallingOut;
use crate::{EngineKind, Host};

/// Links everything that needs no grant, or that refuses by itself where there is none.
pub(crate) fn link(linker: &mut Linker<Guest>, engine: EngineKind) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_with_options_async(linker, &LinkOptions::default())?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    context::link(&mut linker.instance("granary:grain/context@0.1.0")?)?;
    state::link(&mut linker.instance("granary:grain/state@0.1.0")?)?;
    calls::link(&mut linker.instance("granary:grain/calls@0.1.0")?)?;
    keyvalue::link(linker)?;
    blobs::link(linker)?;
    logging::link(linker)?;
    match engine {
        // A component that imports an async function is always run by the other one.
        EngineKind::Sync => Ok(()),
        EngineKind::Async => {
            state::link_async(&mut linker.instance("granary:grain/async-state@0.1.0")?)?;
            calls::link_async(&mut linker.instance("granary:grain/async-calls@0.1.0")?)
        }
    }
}

/// Links the settings of a kind, which are only there by grant.
pub(crate) fn link_config(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    settings::link(linker)
}

/// Names one of a store's turns for as long as an import works for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnKey {
    /// The only one.
    Alone,
    /// One of several.
    Beside(BesideId),
}

/// Which turn the running code belongs to. To be asked while the import's own task is the current one: up to the first await. None in start code, and in an async component's task that outlived its turn: nothing is
/// guessed there.
pub(crate) fn current(store: &mut StoreContextMut<'_, Guest>) -> Option<TurnKey> {
    let turns = &store.data().turns;
    if turns.alone.is_some() {
        return Some(TurnKey::Alone);
    }
    if !turns.several() {
        return None;
    }
    let root = store.async_call_stack().ok()?.last()?;
    store.data().turns.of_task(root).map(TurnKey::Beside)
}

/// The turn of a key, unless it has ended.
pub(crate) fn turn(guest: &mut Guest, key: TurnKey) -> Option<&mut Turn> {
    match key {
        TurnKey::Alone => guest.turns.alone.as_mut(),
        TurnKey::Beside(id) => guest.turns.get_mut(id),
    }
}

/// How an import reaches its store.
pub(crate) trait Reach: Send {
    /// Borrows the store. Never across an await.
    fn with<R>(&mut self, body: impl FnOnce(&mut StoreContextMut<'_, Guest>) -> R) -> R;

    /// The turn that calls, or the words of a refusal. To be asked before the first await.
    fn caller(&mut self) -> Result<TurnKey, String> {
        self.with(current).ok_or_else(|| NO_TURN.to_owned())
    }

    /// Borrows the turn, which may have ended since.
    fn turn<R>(&mut self, key: TurnKey, body: impl FnOnce(&mut Turn) -> R) -> Result<R, String> {
        self.with(|store| turn(store.data_mut(), key).map(body))
            .ok_or_else(|| NO_TURN.to_owned())
    }

    /// The node, as this activation sees it.
    fn host(&mut self) -> Arc<dyn Host> {
        self.with(|store| store.data().seat.host.clone())
    }
}

const NO_TURN: &str = "no turn is running: start code and work after the end of a turn have no state and make no calls";

impl Reach for StoreContextMut<'_, Guest> {
    fn with<R>(&mut self, body: impl FnOnce(&mut StoreContextMut<'_, Guest>) -> R) -> R {
        body(&mut self.as_context_mut())
    }
}

impl<T: Reach> Reach for &mut T {
    fn with<R>(&mut self, body: impl FnOnce(&mut StoreContextMut<'_, Guest>) -> R) -> R {
        (**self).with(body)
    }
}

impl Reach for &Accessor<Guest> {
    fn with<R>(&mut self, body: impl FnOnce(&mut StoreContextMut<'_, Guest>) -> R) -> R {
        Accessor::with(self, |mut access| body(&mut access.as_context_mut()))
    }
}

/// Defines one waiting function. A macro, because no closure type can be generic over the lifetime of the store. A function that is
/// a plain one in WIT blocks the component in both engines: Wasmtime takes a function that lets its caller go on for an `async func` only
/// (`typecheck_async`). So what waits has a second interface, whose functions are defined by [`concurrent`].
macro_rules! waiting {
    ($instance:expr, $name:expr, $body:path, ($($arg:ident: $type:ty),*)) => {
        $crate::imports::define($instance, $name, |store, ($($arg,)*): ($($type,)*)| {
            Box::new(async move { Ok(($body(store, $($arg),*).await,)) })
        })
    };
}
use waiting;

/// Defines one function that lets its caller go on. The same bodies, for an `async func`.
macro_rules! concurrent {
    ($instance:expr, $name:expr, $body:path, ($($arg:ident: $type:ty),*)) => {
        $instance.func_wrap_concurrent($name, |store: &Accessor<Guest>, ($($arg,)*): ($($type,)*)| {
            Box::pin(async move {
                let _under_way = $crate::imports::under_way(store);
                Ok(($body(store, $($arg),*).await,))
            })
        })
    };
}
use concurrent;

/// Says that the calling turn waits for something: one that has answered is not over meanwhile. To be asked before the first await.
fn under_way(mut store: &Accessor<Guest>) -> Option<CallingOut> {
    let caller = store.caller().ok()?;
    store.turn(caller, |turn| turn.context.call_out()).ok()
}

type Linked<'a> = LinkerInstance<'a, Guest>;

/// What becomes of a resource of ours when the guest drops its last handle.
fn forget<T: Send + 'static>(
    mut store: StoreContextMut<'_, Guest>,
    handle: u32,
) -> wasmtime::Result<()> {
    let table = store.data_mut().ctx().table;
    table.delete(Resource::<T>::new_own(handle))?;
    Ok(())
}

fn define<P, R, F>(instance: &mut Linked<'_>, name: &str, body: F) -> wasmtime::Result<()>
where
    F: Fn(
            StoreContextMut<'_, Guest>,
            P,
        ) -> Box<dyn Future<Output = wasmtime::Result<R>> + Send + '_>
        + Send
        + Sync
        + 'static,
    P: ComponentNamedList + Lift + 'static,
    R: ComponentNamedList + Lower + 'static,
{
    instance.func_wrap_async(name, body)
}
