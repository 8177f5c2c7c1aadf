//! The program `granary`: a node and its command line in one.

/// Many small allocations of many threads: mimalloc gives back memory and does not fight over one arena.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    granary_node::cli::main()
}
