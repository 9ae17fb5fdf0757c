//! What does an image model paint?
//!
//! A real PNG, small, with colours that follow from the prompt, so that two prompts are
//! told apart at a glance and the same prompt gives the same bytes. The picture follows
//! from its name alone: a URL that was handed out can be answered for ever without
//! keeping anything.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::application::{Refusal, bounded};
use super::script::Script;
use super::{Options, unix_seconds};

/// Both sides of a picture. `size` is accepted and not followed: nobody looks for long.
const SIDE_PIXELS: u32 = 128;
/// As many as OpenAI paints at once.
const IMAGES_MAX: u64 = 10;

/// What a picture follows from: the hash of prompt and position.
type Seed = [u8; 32];

/// Answers an image generation.
pub(super) fn answer(body: &Value, options: &Options, base_url: &str) -> Result<Script, Refusal> {
    let prompt = match body.get("prompt") {
        None => return Err(Refusal::missing("prompt")),
        Some(Value::String(prompt)) if !prompt.is_empty() => prompt,
        Some(_) => return Err(Refusal::invalid("prompt", "a text that is not empty")),
    };
    let inline = match body.get("response_format") {
        None | Some(Value::Null) => options.image_inline,
        Some(format) => match format.as_str() {
            Some("url") => false,
            Some("b64_json") => true,
            _ => return Err(Refusal::invalid("response_format", "'url' or 'b64_json'")),
        },
    };
    let count = bounded(body, "n", 1..=IMAGES_MAX)?.unwrap_or(1);
    let images = (0..count).map(|index| {
        let seed = *blake3::hash(format!("{index} {prompt}").as_bytes()).as_bytes();
        let (form, image) = if inline {
            ("b64_json", STANDARD.encode(paint(&seed)))
        } else {
            ("url", format!("{base_url}/images/{}.png", name(&seed)))
        };
        json!({form: image, "revised_prompt": prompt})
    });
    let body = json!({"created": unix_seconds(), "data": images.collect::<Vec<_>>()});
    Ok(Script::json(200, body.to_string()).delay_head(options.image))
}

/// A picture of this, as a model shows it among its words.
pub(super) fn of(prompt: &str) -> Vec<u8> {
    paint(blake3::hash(prompt.as_bytes()).as_bytes())
}

/// The picture of this file name, `None` if no picture has such a name.
pub(super) fn painted(file: &str) -> Option<Script> {
    let name = file.strip_suffix(".png")?;
    let seed = *blake3::Hash::from_hex(name).ok()?.as_bytes();
    let script = Script::body(200, "image/png", paint(&seed));
    Some(script.header("Cache-Control", "public, max-age=31536000, immutable"))
}

fn name(seed: &Seed) -> String {
    seed.iter()
        .fold(String::with_capacity(64), |mut name, byte| {
            // Writing into a string cannot fail.
            let _ = write!(name, "{byte:02x}");
            name
        })
}

/// Rings around a point, in a gradient between two colours of the seed.
fn paint(seed: &Seed) -> Vec<u8> {
    let [red, green, blue, red2, green2, blue2, x0, y0, width, ..] = *seed;
    let (x0, y0) = (u32::from(x0) % SIDE_PIXELS, u32::from(y0) % SIDE_PIXELS);
    let ring = 24 + u32::from(width);
    let mut pixels = Vec::with_capacity((SIDE_PIXELS * SIDE_PIXELS * 3) as usize);
    for y in 0..SIDE_PIXELS {
        for x in 0..SIDE_PIXELS {
            let squared = x.abs_diff(x0).pow(2) + y.abs_diff(y0).pow(2);
            // Squares instead of roots: the rings grow thinner outwards, as in a lens.
            let bright = (squared / (ring * 8)).is_multiple_of(2);
            let shade = |from: u8, to: u8| {
                let mixed = u32::from(from) * (SIDE_PIXELS - y) + u32::from(to) * y;
                let mixed = u8::try_from(mixed / SIDE_PIXELS).unwrap_or(u8::MAX);
                if bright { mixed } else { mixed / 2 }
            };
            pixels.extend([shade(red, red2), shade(green, green2), shade(blue, blue2)]);
        }
    }
    png(&pixels).unwrap_or_default()
}

/// Writing into memory fails only if the pixels are not `SIDE_PIXELS` squared.
fn png(pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIDE_PIXELS, SIDE_PIXELS);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}
