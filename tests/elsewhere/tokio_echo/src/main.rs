//! The echo server that the Tokio tutorial arrives at: a task for each guest, a loop in it.
//! Usage: tokio_echo PORT

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).expect("usage: tokio_echo PORT");
    let door = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    loop {
        let (guest, _) = door.accept().await?;
        tokio::spawn(serve(guest));
    }
}

async fn serve(mut guest: TcpStream) {
    let mut plate = [0; 1024];
    loop {
        let length = match guest.read(&mut plate).await {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) => return eprintln!("failed to read from socket; err = {error}"),
        };
        if let Err(error) = guest.write_all(&plate[..length]).await {
            return eprintln!("failed to write to socket; err = {error}");
        }
    }
}
