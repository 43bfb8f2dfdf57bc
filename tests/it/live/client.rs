//! A client made of bare bytes: it can break every rule, and stop reading when it pleases.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Nothing here should take longer; more than the longest silence the server allows.
const PATIENCE: Duration = Duration::from_secs(60);

pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xa;

pub struct Client {
    stream: TcpStream,
    buffer: BytesMut,
}

/// A frame of the server: opcode and payload.
pub struct Frame {
    pub opcode: u8,
    pub payload: Bytes,
}

impl Client {
    /// Connects and upgrades; the answer's head must say 101.
    pub async fn connect(address: SocketAddr, receive_buffer: Option<u32>) -> Self {
        let mut client = Self::open(address, receive_buffer).await;
        client.write(request(address, "").as_bytes()).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.to_ascii_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        client
    }

    /// Connects only.
    pub async fn open(address: SocketAddr, receive_buffer: Option<u32>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(size) = receive_buffer {
            socket.set_recv_buffer_size(size).unwrap();
        }
        let stream = socket.connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: BytesMut::with_capacity(64 * 1024) }
    }

    /// Connects, says hello and hears that it is welcome.
    pub async fn greeted(address: SocketAddr, token: &str) -> Self {
        let mut client = Self::connect(address, None).await;
        client.say(json!({ "id": 0, "type": "hello", "token": token })).await;
        let welcome = client.heard().await;
        assert!(welcome["ok"]["limits"]["rooms"].is_u64(), "{welcome}");
        client
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Writes although the server may already have closed.
    pub async fn try_write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    pub async fn say(&mut self, message: Value) {
        self.write(&frame(0x80 | TEXT, message.to_string().as_bytes())).await;
    }

    /// The head of an HTTP answer.
    pub async fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                return String::from_utf8(self.buffer.split_to(end + 4).to_vec()).unwrap();
            }
            assert!(self.fill().await, "closed before the end of the head: {:?}", self.buffer);
        }
    }

    /// The body of an HTTP answer with this head.
    pub async fn rest(&mut self, head: &str) -> Bytes {
        let length = head.to_ascii_lowercase();
        let length = length.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).expect("a length");
        let length: usize = length.trim().parse().unwrap();
        while self.buffer.len() < length {
            assert!(self.fill().await, "closed before the end of the body");
        }
        self.buffer.split_to(length).freeze()
    }

    /// The next frame; none when the server closed the connection.
    pub async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Some(frame);
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// The next message, whatever frames come between.
    pub async fn heard(&mut self) -> Value {
        loop {
            let frame = self.frame().await.expect("a message");
            match frame.opcode {
                TEXT => return serde_json::from_slice(&frame.payload).unwrap(),
                CLOSE => panic!("closed with {:?}", close_code(&frame)),
                _ => {}
            }
        }
    }

    /// The code the server closes with; messages before it are passed over.
    pub async fn closed_with(&mut self) -> u16 {
        loop {
            let frame = self.frame().await.expect("a close frame");
            if frame.opcode == CLOSE {
                let code = close_code(&frame).expect("a code");
                assert!(self.frame().await.is_none(), "nothing follows a close frame");
                return code;
            }
        }
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let head = self.buffer.get(..2)?;
        let (opcode, short) = (head[0] & 0x0f, head[1]);
        assert_eq!(head[0] & 0x70, 0, "no reserved bits");
        assert_eq!(short & 0x80, 0, "a server never masks");
        let (header, length) = match short {
            126 => (4, usize::from(u16::from_be_bytes(self.buffer.get(2..4)?.try_into().unwrap()))),
            127 => (10, u64::from_be_bytes(self.buffer.get(2..10)?.try_into().unwrap()) as usize),
            short => (2, usize::from(short)),
        };
        if self.buffer.len() < header + length {
            return None;
        }
        self.buffer.advance(header);
        Some(Frame { opcode, payload: self.buffer.split_to(length).freeze() })
    }

    async fn fill(&mut self) -> bool {
        if self.buffer.capacity() - self.buffer.len() < 4096 {
            self.buffer.reserve(64 * 1024);
        }
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await.expect("the server says something");
        read.is_ok_and(|count| count > 0)
    }
}

/// A request to upgrade, with more header lines.
pub fn request(address: SocketAddr, more: &str) -> String {
    format!(
        "GET /api/v1/ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// A masked frame whose first byte is given.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len() as u64, 0x80);
    let mask = [0x11, 0x22, 0x33, 0x44];
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A header that claims a length.
pub fn header(first: u8, length: u64, masked: u8) -> Vec<u8> {
    let mut header = vec![first];
    match length {
        0..=125 => header.push(masked | length as u8),
        126..=0xffff => {
            header.push(masked | 126);
            header.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            header.push(masked | 127);
            header.extend_from_slice(&length.to_be_bytes());
        }
    }
    header
}

fn close_code(frame: &Frame) -> Option<u16> {
    frame.payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]))
}
