//! The program `aedile-server`. Everything is in the library; see `server::process::startup`.

fn main() {
    std::process::exit(aedile::main());
}
