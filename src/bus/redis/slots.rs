//! The slots of a Redis Cluster: which server serves which channel.
//!
//! A cluster spreads names over 16,384 slots by CRC16 (XMODEM). Channel names hold no braces, so the whole name counts. Pure:
//! who asks the cluster and connects is [`crate::bus::redis::shards`].

use redis::{ErrorKind, RedisError, RedisResult, Value, from_redis_value};

const SLOTS: usize = 16_384;

/// Where a server is reached. An empty host is that of the server that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Which server serves which slot.
#[derive(Clone, Debug)]
pub struct Slots {
    /// By slot: an index into the servers.
    table: Vec<Option<u16>>,
    servers: Vec<Server>,
}

impl Slots {
    /// Reads an answer to `CLUSTER SLOTS`: rows of first slot, last slot, primary, replicas.
    ///
    /// # Errors
    /// When it cannot be read, or a slot has no server: then the cluster is down for some channels, and is for us as a whole.
    pub fn read(answer: Value) -> RedisResult<Self> {
        let mut slots = Self { table: vec![None; SLOTS], servers: Vec::new() };
        for row in from_redis_value::<Vec<Vec<Value>>>(answer)? {
            let [first, last, primary, ..] = row.as_slice() else { return Err(unreadable()) };
            let (&Value::Int(first), &Value::Int(last), Value::Array(primary)) = (first, last, primary) else {
                return Err(unreadable());
            };
            let server = slots.index_of(server(primary)?)?;
            let range = usize::try_from(first).unwrap_or(SLOTS)..=usize::try_from(last).unwrap_or(SLOTS);
            slots.table.get_mut(range).ok_or_else(unreadable)?.fill(Some(server));
        }
        if slots.table.contains(&None) {
            return Err((ErrorKind::ClusterConnectionNotFound, "slots without a server").into());
        }
        Ok(slots)
    }

    /// The servers that have slots.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Which of them serves a channel.
    pub fn server_of(&self, channel: &str) -> usize {
        self.table[slot(channel.as_bytes())].map_or(0, usize::from)
    }

    fn index_of(&mut self, server: Server) -> RedisResult<u16> {
        let known = self.servers.iter().position(|known| *known == server);
        let index = known.unwrap_or_else(|| {
            self.servers.push(server);
            self.servers.len() - 1
        });
        u16::try_from(index).map_err(|_| unreadable())
    }
}

fn server(columns: &[Value]) -> RedisResult<Server> {
    let [host, Value::Int(port), ..] = columns else { return Err(unreadable()) };
    let host = match host {
        Value::Nil => String::new(),
        host => from_redis_value(host.clone())?,
    };
    // A server that does not know its own name says so with a question mark.
    let host = if host == "?" { String::new() } else { host };
    Ok(Server { host, port: u16::try_from(*port).map_err(|_| unreadable())? })
}

fn unreadable() -> RedisError {
    (ErrorKind::UnexpectedReturnType, "an unreadable map of the cluster").into()
}

fn slot(name: &[u8]) -> usize {
    let crc = name.iter().fold(0_u16, |crc, byte| {
        let index = usize::from((crc >> 8) ^ u16::from(*byte));
        (crc << 8) ^ CRC16[index]
    });
    usize::from(crc) % SLOTS
}

const CRC16: [u16; 256] = {
    let mut table = [0_u16; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn row(first: i64, last: i64, host: Value, port: i64) -> Value {
        let primary = Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())]);
        Value::Array(vec![Value::Int(first), Value::Int(last), primary])
    }

    fn host(name: &str) -> Value {
        Value::BulkString(name.into())
    }

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(slot(b"123456789"), 0x31C3);
        assert_eq!(slot(b""), 0);
    }

    #[test]
    fn the_map_is_read_and_every_slot_needs_a_server() {
        let rows = vec![row(0, 8_000, host("a"), 1), row(8_001, 16_383, host("b"), 2), row(0, 0, host("a"), 1)];
        let slots = Slots::read(Value::Array(rows)).unwrap();
        let names = ["a", "b"].map(str::to_owned);
        assert_eq!(slots.servers().iter().map(|server| server.host.clone()).collect::<Vec<_>>(), names);
        assert_eq!(slots.server_of("123456789"), usize::from(0x31C3 > 8_000));
        assert!(Slots::read(Value::Array(vec![row(0, 16_382, host("a"), 1)])).is_err(), "a hole");
        assert!(Slots::read(Value::Array(vec![row(0, 16_384, host("a"), 1)])).is_err(), "beyond the last");
        assert!(Slots::read(Value::Int(1)).is_err());
    }

    #[test]
    fn a_server_that_does_not_know_its_name_is_where_we_asked() {
        for unknown in [Value::Nil, host(""), host("?")] {
            let slots = Slots::read(Value::Array(vec![row(0, 16_383, unknown, 7)])).unwrap();
            assert_eq!(slots.servers(), [Server { host: String::new(), port: 7 }]);
        }
    }
}
