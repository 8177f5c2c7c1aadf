//! Every rule as a sentence: events in, the whole effect list compared.
//!
//! [`world`] lets several nodes talk without delay or loss; what delay and loss do is the simulator's.

mod exchange;
mod join;
mod leader;
mod leave;
mod shown;
mod tell;
mod watch;
mod world;
