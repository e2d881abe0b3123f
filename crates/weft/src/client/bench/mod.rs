//! `weft bench`: how fast a volume answers.

mod report;

use super::flow::{Flow, Piece, buffer, check};
use super::{Client, step};
use crate::args::{BenchArgs, Pattern};
use crate::error::Failure;
use crate::output::{Progress, Style, latency};
use block::Op;
use engine::Limits;
use hdrhistogram::Histogram;
use report::Report;
use std::time::{Duration, Instant};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::prng::Prng;

/// Runs the command.
pub fn run(style: &Style, args: &BenchArgs) -> Result<(), Failure> {
    if args.pattern.writes() && !args.destroy {
        let text = "this pattern overwrites the volume: say --destroy if that is wanted";
        return Err(Failure::Usage(text.into()));
    }
    if let Some(cpu) = args.cpu {
        reactor::pin(cpu).map_err(Failure::Start)?;
    }
    let mut limits = Limits::default();
    limits.device.shared_memory = !args.packets;
    let mut client = Client::with(limits)?;
    let mut flow = Flow::new(client.open(&args.url)?);
    let mut load = Load::new(&mut client, &flow, args)?;
    let progress = Progress::time(style, "measuring", args.seconds.as_millis() as u64);
    // What happens first (page faults, a cold path) is not what is asked about.
    let warm_up = (args.seconds / 10).min(Duration::from_secs(1));
    load.run(&mut client, &mut flow, warm_up, &progress)?;
    load.reset();
    load.run(&mut client, &mut flow, args.seconds, &progress)?;
    load.drain(&mut client, &mut flow)?;
    progress.finish();
    Report::new(args, &load).print(style, args.histogram);
    Ok(())
}

impl Pattern {
    fn writes(self) -> bool {
        match self {
            Pattern::Read | Pattern::Randread => false,
            Pattern::Write | Pattern::Randwrite | Pattern::Randrw => true,
        }
    }

    fn random(self) -> bool {
        match self {
            Pattern::Read | Pattern::Write => false,
            Pattern::Randread | Pattern::Randwrite | Pattern::Randrw => true,
        }
    }
}

/// The load and what it has seen.
#[derive(Debug)]
struct Load {
    pattern: Pattern,
    reads: u8,
    step: u32,
    steps: u64,
    block_size: u32,
    prng: Prng,
    next: u64,
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// Latencies in nanoseconds.
    latency: Histogram<u64>,
    requests: u64,
    elapsed: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    data: Span,
    lba: u64,
    started: Instant,
}

impl Load {
    fn new(client: &mut Client, flow: &Flow, args: &BenchArgs) -> Result<Self, Failure> {
        let info = flow.info();
        let step = step(&info, args.size)?;
        if u64::from(step) * u64::from(info.block_size) != args.size {
            let most = u64::from(step) * u64::from(info.block_size);
            return Err(Failure::Usage(format!(
                "--size {}: the volume takes at most {most} at once",
                args.size
            )));
        }
        let steps = info.blocks / u64::from(step);
        if steps == 0 {
            return Err(Failure::Usage(format!("the volume is smaller than --size {}", args.size)));
        }
        let mut slots = Vec::new();
        let mut prng = Prng::new(client.env.entropy());
        let mut bytes = vec![0; args.size as usize];
        for _ in 0..args.depth {
            let data = buffer(client, args.size as usize)?;
            prng.fill(&mut bytes);
            client.env.mem().write(data, &bytes);
            slots.push(Slot { data, lba: 0, started: Instant::now() });
        }
        Ok(Self {
            pattern: args.pattern,
            reads: args.reads,
            step,
            steps,
            block_size: info.block_size,
            prng,
            next: 0,
            free: (0..slots.len()).collect(),
            slots,
            latency: latency::histogram(),
            requests: 0,
            elapsed: Duration::ZERO,
        })
    }

    fn run(
        &mut self,
        client: &mut Client,
        flow: &mut Flow,
        span: Duration,
        bar: &Progress,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        let mut turns = 0u32;
        loop {
            // They leave together. A look at the clock for each would be part of what is measured.
            let started = Instant::now();
            while let Some(slot) = self.free.pop() {
                self.start(client, flow, slot, started)?;
            }
            self.collect(client, flow)?;
            turns = turns.wrapping_add(1);
            if turns.is_multiple_of(64) || self.free.is_empty() {
                let elapsed = began.elapsed();
                if elapsed >= span {
                    self.elapsed = elapsed;
                    return Ok(());
                }
                if turns.is_multiple_of(4096) {
                    bar.set(elapsed.as_millis() as u64);
                }
            }
        }
    }

    fn start(
        &mut self,
        client: &mut Client,
        flow: &mut Flow,
        slot: usize,
        started: Instant,
    ) -> Result<(), Failure> {
        let read = match self.pattern {
            Pattern::Read | Pattern::Randread => true,
            Pattern::Write | Pattern::Randwrite => false,
            Pattern::Randrw => self.prng.chance(u64::from(self.reads), 100),
        };
        let index = if self.pattern.random() { self.prng.below(self.steps) } else { self.next % self.steps };
        self.next += 1;
        let piece = Piece { lba: index * u64::from(self.step), blocks: self.step };
        let data = self.slots[slot].data;
        self.slots[slot] = Slot { data, lba: piece.lba, started };
        flow.submit(client, slot as u64, if read { Op::Read } else { Op::Write }, piece, data)
    }

    fn collect(&mut self, client: &mut Client, flow: &mut Flow) -> Result<(), Failure> {
        let mut now = None;
        for done in flow.wait(client)? {
            let now = *now.get_or_insert_with(Instant::now);
            let slot = &self.slots[done.tag as usize];
            check(done, "request", slot.lba * u64::from(self.block_size))?;
            self.latency.saturating_record(now.duration_since(slot.started).as_nanos() as u64);
            self.requests += 1;
            self.free.push(done.tag as usize);
        }
        Ok(())
    }

    fn drain(&mut self, client: &mut Client, flow: &mut Flow) -> Result<(), Failure> {
        while flow.under_way() > 0 {
            flow.wait(client)?;
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.latency.reset();
        self.requests = 0;
    }
}
