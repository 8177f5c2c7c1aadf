//! The program `granary`: a node and its command line in one.

/// Many small allocations of many threads: mimalloc gives back memory and does not fight over one arena. It does not ask for huge pages
/// (`no_thp`): the kernel clears each before its first use, which made some first answers wait for 10 ms, and no call was faster.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    granary_node::cli::main()
}
