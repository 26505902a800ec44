//! Prints a greeting and its arguments, then exits: a pod that ends as `Completed`.

fn main() {
    let who = std::env::var("WHO").unwrap_or_else(|_| "WebAssembly".to_string());
    println!("Hello, {who}!");
    for (index, argument) in std::env::args().enumerate().skip(1) {
        println!("argument {index}: {argument}");
    }
}
