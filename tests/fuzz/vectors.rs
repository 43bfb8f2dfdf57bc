//! The golden vectors as examples: every message of `protocol/vectors/` in the form a codec has for it, valid or not.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parlour_protocol::codec::Codec;
use serde_json::Value;

/// Longer ones meet a limit by themselves and would take most of the time.
const EXAMPLE_BYTES_MAX: usize = 4 * 1024;

/// The messages of all files whose name begins so.
pub fn wire(prefix: &str, codec: Codec) -> Vec<Vec<u8>> {
    let form = |case: &Value| match codec {
        Codec::Json => {
            let text = case["json_text"].as_str().map(str::to_owned);
            text.or_else(|| case.get("json").map(Value::to_string)).map(String::into_bytes)
        }
        Codec::MessagePack => case["msgpack"].as_str().map(|text| STANDARD.decode(text).unwrap()),
    };
    let examples = cases(prefix).iter().filter_map(form).collect::<Vec<_>>();
    examples.into_iter().filter(|example| example.len() <= EXAMPLE_BYTES_MAX).collect()
}

/// The cases of all files whose name begins so, in the order of the files.
pub fn cases(prefix: &str) -> Vec<Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/vectors");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix));
    files.sort();
    let read = |path| serde_json::from_str::<Vec<Value>>(&fs::read_to_string(path).unwrap()).unwrap();
    files.into_iter().flat_map(read).collect()
}
