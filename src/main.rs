//! The program: everything is in the library.

use std::process::ExitCode;

/// Returns memory to the system: glibc keeps the 19 MiB of each thread that hashed a password.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidings::cli::main(std::env::args_os())
}
