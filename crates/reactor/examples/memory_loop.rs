//! What memory alone can do, for `cargo xtask bench rdma`: the yardstick of what neighbours do through it.
//!
//! `memory_loop ping 8 1 SECONDS` has a number go to and fro between two processors, `memory_loop copy SIZE DEPTH SECONDS`
//! copies as a write of SIZE bytes would with DEPTH under way. Both print how often in a second.

use reactor::pin;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use stdx::mem::{Kind, Memory, MemoryLimits};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, size, depth, seconds] = arguments.as_slice() else { return Err("four arguments".into()) };
    let span = Duration::from_secs_f64(seconds.parse()?);
    let rate = match mode.as_str() {
        "ping" => ping(span)?,
        "copy" => copy(size.parse()?, depth.parse()?, span)?,
        _ => return Err("ping or copy".into()),
    };
    println!("{rate}");
    Ok(())
}

/// A number in a cache line of its own, and of its neighbour line's.
#[repr(align(128))]
#[derive(Default)]
struct Line(AtomicU64);

/// Two lines, each written on one processor and read on the other.
fn ping(span: Duration) -> Result<f64, Box<dyn Error>> {
    let lines = Arc::new((Line::default(), Line::default(), AtomicBool::new(false)));
    let theirs = Arc::clone(&lines);
    // One that spins before all others would never let the other thread leave its processor.
    let both = Arc::new(Barrier::new(2));
    let their_both = Arc::clone(&both);
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let moved = pin(0);
        their_both.wait();
        moved?;
        let mut seen = 0;
        while !theirs.2.load(Ordering::Relaxed) {
            let number = theirs.0.0.load(Ordering::Acquire);
            if number != seen {
                theirs.1.0.store(number, Ordering::Release);
                seen = number;
            }
        }
        Ok(())
    });
    both.wait();
    pin(1)?;
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < span {
        for _ in 0..1000 {
            count += 1;
            lines.0.0.store(count, Ordering::Release);
            while lines.1.0.load(Ordering::Acquire) != count && !echo.is_finished() {
                core::hint::spin_loop();
            }
        }
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    lines.2.store(true, Ordering::Relaxed);
    echo.join().map_err(|_| "the echo failed")??;
    Ok(rate)
}

/// Copies between two pieces of memory such as neighbours share.
fn copy(size: usize, depth: usize, span: Duration) -> Result<f64, Box<dyn Error>> {
    pin(0)?;
    let mut memory = Memory::new(MemoryLimits { buffer_bytes: 1 << 20 })?;
    let (from, to) = (memory.map(Kind::Published, LEN)?, memory.map(Kind::Published, LEN)?);
    let (from, to) = (memory.whole(from), memory.whole(to));
    memory.fill(from, 1);
    memory.fill(to, 2);
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < span {
        for slot in 0..depth {
            memory.copy(to.slice(slot * size, size), from.slice(slot * size, size));
            count += 1;
        }
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

/// Bytes of each piece.
const LEN: u64 = 32 << 20;
