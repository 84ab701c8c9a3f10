//! `scuttlebutt emit`: emit one event, and know that the peer has it.

use scuttlebutt::EventLog;

use crate::cli::Emit;
use crate::client;
use crate::exit::Failure;
use crate::input;
use crate::writing::Writing;

pub(crate) async fn run(args: Emit) -> Result<(), Failure> {
    let reading = args.reading.reading();
    let arguments = args.arguments.iter().map(|argument| input::json(argument, reading));
    let arguments = arguments.collect::<Result<_, _>>()?;
    let writing = Writing::Event { name: args.event, arguments };
    client::write::<EventLog>(&args.place, &args.trust, &args.key, &writing).await
}
