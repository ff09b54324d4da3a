//! The load generator of `scripts/bench`. It measures the requests of a daemon from the socket to
//! the stores and back, and in the same run the limit of each request: the sum of the parts of
//! which it is made, each measured alone. `docs/performance.md` describes the method.
//!
//! Start it with `scripts/bench`, which starts the servers and builds the daemon.

mod arguments;
mod client;
mod compare;
mod compute;
mod daemon;
mod endpoint;
mod installation;
mod limits;
mod load;
mod plain;
mod process;
mod report;
mod run;
mod sink;
mod stores;
mod sweep;
mod tables;
mod world;

use std::process::ExitCode;

use arguments::Arguments;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().expect("the machine has threads");
    let result = runtime.block_on(async {
        if words == [plain::ARGUMENT] {
            return plain::serve().await.map(|()| Vec::new());
        }
        process::check()?;
        let arguments = Arguments::read(&words)?;
        match arguments.compare {
            Some(_) => compare::run(&arguments).await,
            None => run::run(&arguments).await,
        }
    });
    // A task of the plain server still reads stdin, so the runtime is not waited for.
    runtime.shutdown_background();
    match result {
        Ok(failures) if failures.is_empty() => ExitCode::SUCCESS,
        Ok(failures) => {
            for failure in failures {
                eprintln!("error: {failure}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
