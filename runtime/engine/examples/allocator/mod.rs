//! Memory as the binary has it: its allocator, without the huge pages that this asks for.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// To be called first. Where they cannot be refused, more is resident than in the binary.
pub(crate) fn refuse_huge_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        println!("huge pages stay as the system has them: {error}");
    }
}
