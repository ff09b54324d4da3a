//! The binary: what concerns the whole process, then the command line.

/// glibc's allocator keeps what bursts of hashes have used; this one gives it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // Whoever builds a TLS configuration without naming a provider gets this one. It cannot have been set before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    latchkey::cli::run()
}
