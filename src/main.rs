//! The program: everything is in the library.

use std::process::ExitCode;

/// Gives memory back: glibc keeps what each thread hashed passwords in, 19 MiB and more, until the end.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tidings::cli::main(std::env::args_os())
}
