//! `scuttlebutt emit`: emit one event, and know that the peer has it.

use scuttlebutt::EventLog;

use crate::cli::Emit;
use crate::client;
use crate::exit::Failure;
use crate::input;

pub(crate) async fn run(args: Emit) -> Result<(), Failure> {
    let mut change = vec![input::literal(&args.event)];
    for argument in &args.arguments {
        change.push(input::json(argument, args.string)?);
    }
    let change = input::array(&change)?;
    client::write::<EventLog>(&args.place, &args.trust, &args.key, change).await
}
