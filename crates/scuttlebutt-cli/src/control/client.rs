//! A command's side: asks the node that has a data directory open, if there is one.

use std::io;
use std::path::Path;

use scuttlebutt::{Change, SourceId, Timestamp};
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{ANSWER_BYTES_MAX, Answer, Held, Request, socket};
use crate::exit::{Code, Failure};

/// A node that runs.
pub(crate) struct Running(UnixStream);

/// A session with a node that runs, in which it sends and takes nothing.
pub(crate) type Session = BufReader<UnixStream>;

/// The node that has the data in `dir` open, if one answers there.
pub(crate) async fn find(dir: &Path) -> Result<Option<Running>, Failure> {
    let path = socket(dir);
    match UnixStream::connect(&path).await {
        Ok(stream) => Ok(Some(Running(stream))),
        Err(error) => match error.kind() {
            // Nobody was there, or ended without a farewell.
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(Failure::failed(format!("{}: {error}", path.display()))),
        },
    }
}

impl Running {
    /// What the node writes when asked for a file.
    pub(crate) async fn export(mut self) -> Result<impl AsyncRead + Unpin, Failure> {
        self.request(&Request::Export).await?;
        Ok(self.0)
    }

    /// Hands the node a file, and answers what became of it.
    pub(crate) async fn import(
        mut self,
        file: impl AsyncRead + Unpin,
        skip_invalid: bool,
    ) -> Result<Value, Failure> {
        self.request(&Request::Import { skip_invalid }).await?;
        let (reader, mut writer) = self.0.into_split();
        let mut file = file;
        let sent = async {
            // The node stops reading where it finds a fault, and says so.
            match tokio::io::copy(&mut file, &mut writer).await {
                Err(error) if !is_broken_off(&error) => {
                    return Err(Failure::failed(format!("cannot read the file: {error}")));
                }
                _ => {}
            }
            let _ = writer.shutdown().await;
            Ok(())
        };
        let (sent, answer) = tokio::join!(sent, answer(reader));
        sent?;
        answer
    }

    /// Lets the node copy its store into a directory.
    pub(crate) async fn backup(mut self, dir: &Path) -> Result<Value, Failure> {
        self.request(&Request::Backup(dir.to_owned())).await?;
        answer(self.0).await
    }

    /// What the node's store holds.
    pub(crate) async fn inspect(mut self) -> Result<Value, Failure> {
        self.request(&Request::Inspect).await?;
        answer(self.0).await
    }

    /// The timestamp of the newest update of a source that the node holds.
    pub(crate) async fn newest(mut self, source: &SourceId) -> Result<Option<Timestamp>, Failure> {
        self.request(&Request::Newest(source.json_literal().to_owned())).await?;
        let answer = answer(self.0).await?;
        Ok(answer["newest"].as_f64().and_then(|millis| Timestamp::new(millis).ok()))
    }

    /// Begins to read: what the node holds, and a session that brings it.
    pub(crate) async fn read(mut self) -> Result<(Held, Session), Failure> {
        self.request(&Request::Read).await?;
        let mut stream = BufReader::new(self.0);
        let held = done(&read_line(&mut stream).await?)?;
        Ok((serde_json::from_value(held).map_err(|error| broken(&error))?, stream))
    }

    /// Lets the node write, as itself.
    pub(crate) async fn write(mut self, model: &str, change: &Change) -> Result<(), Failure> {
        let (model, change) = (model.to_owned(), change.as_json().to_owned());
        self.request(&Request::Write { model, change }).await?;
        answer(self.0).await.map(|_| ())
    }

    async fn request(&mut self, request: &Request) -> Result<(), Failure> {
        let line = serde_json::to_string(request).map_err(|error| broken(&error))?;
        let written = self.0.write_all(format!("{line}\n").as_bytes()).await;
        written.map_err(|error| broken(&error))
    }
}

async fn answer(reader: impl AsyncRead + Unpin) -> Result<Value, Failure> {
    done(&read_line(&mut BufReader::new(reader)).await?)
}

async fn read_line(reader: &mut (impl AsyncBufRead + Unpin)) -> Result<String, Failure> {
    let mut line = String::new();
    let read = reader.take(ANSWER_BYTES_MAX).read_line(&mut line).await;
    read.map_err(|error| broken(&error))?;
    Ok(line)
}

/// What an answer says was done.
fn done(line: &str) -> Result<Value, Failure> {
    match serde_json::from_str(line) {
        Ok(Answer::Done(value)) => Ok(value),
        Ok(Answer::Failed(message)) => Err(Failure::failed(message)),
        Ok(Answer::Invalid(message)) => Err(Failure::usage(message)),
        Ok(Answer::Refused(message)) => Err(Failure::new(Code::NotAccepted, message)),
        Ok(Answer::OtherModel(held)) => Err(Failure::other_model("the node", &held)),
        Err(_) => Err(broken(&"it broke off")),
    }
}

fn is_broken_off(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn broken(error: &impl std::fmt::Display) -> Failure {
    Failure::failed(format!("the node that has the data open did not answer: {error}"))
}
