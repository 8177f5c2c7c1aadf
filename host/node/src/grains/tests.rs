//! Grains with real components over the store that forgets.

mod life;
mod rig;
mod together;
mod turns;
