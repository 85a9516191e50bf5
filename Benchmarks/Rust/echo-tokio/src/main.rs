//! TCP echo on tokio: one thread, a task a connection, each a loop of `read` and `write_all` on a buffer of
//! its own. `scripts/bench` compares it with the others.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::task::Poll;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{signal, SignalKind};

const BACKLOG: u32 = 4096;

struct Options {
    port: u16,
    buffer_bytes: usize,
}

fn main() -> io::Result<()> {
    let options = options_from_arguments();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(serve_until_signal(options))
}

/// Returning drops the runtime, and with it every connection's task.
async fn serve_until_signal(options: Options) -> io::Result<()> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let listener = listen(options.port)?;
    println!("listening on {}", listener.local_addr()?);
    tokio::spawn(serve(listener, options.buffer_bytes));
    poll_fn(|context| {
        let ended = interrupted.poll_recv(context).is_ready() || terminated.poll_recv(context).is_ready();
        if ended { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    Ok(())
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    socket.listen(BACKLOG)
}

async fn serve(listener: TcpListener, buffer_bytes: usize) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(echo(stream, buffer_bytes))),
            Err(error) => eprintln!("echo-tokio: accept: {error}"),
        }
    }
}

/// A connection that fails ends alone: nobody is left to tell.
async fn echo(mut stream: TcpStream, buffer_bytes: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; buffer_bytes];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

fn options_from_arguments() -> Options {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut options = Options { port: 0, buffer_bytes: 4096 };
    for pair in words.chunks(2) {
        match pair {
            [name, value] if name == "--port" => options.port = value.parse().unwrap_or_else(|_| usage()),
            [name, value] if name == "--buffer-bytes" => {
                options.buffer_bytes = value.parse().unwrap_or_else(|_| usage())
            }
            _ => usage(),
        }
    }
    options
}

fn usage() -> ! {
    eprintln!("usage: echo-tokio --port N [--buffer-bytes N]    (TCP echo on 127.0.0.1 until a signal)");
    std::process::exit(2)
}
