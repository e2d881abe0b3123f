//! ibv_rc_pingpong, ibv_uc_pingpong, ibv_ud_pingpong and ibv_srq_pingpong: a message there, a message back, over queue pairs
//! that are connected by hand.

use crate::exchange::{Place, exchange, tell};
use crate::local::Local;
use crate::{Device, Trouble};
use clap::{Args, ValueEnum};
use core::net::{IpAddr, SocketAddr};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use stdx::env::Env;
use verbs::station::Buffer;
use verbs::{
    Access, CompletionKind, Data, Destination, Peer, Provider, QpId, ReceiveQueue, Receives, SendRequest,
    Transition, Transport, Work,
};

/// The options, as the originals have them.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which of them
    kind: Kind,
    /// The address of the device
    #[arg(long)]
    address: IpAddr,
    /// The server; without it this is the server
    #[arg(long)]
    to: Option<IpAddr>,
    /// TCP port of the exchange
    #[arg(long, default_value_t = 18515)]
    port: u16,
    /// Bytes of a message
    #[arg(short, long, default_value_t = 4096)]
    size: u32,
    /// Messages each way
    #[arg(short = 'n', long, default_value_t = 1000)]
    iterations: u64,
    /// Queue pairs, where receives are shared
    #[arg(short, long, default_value_t = 16)]
    queue_pairs: usize,
    #[command(flatten)]
    device: Device,
}

/// Which service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Reliable connection
    Rc,
    /// Unreliable connection
    Uc,
    /// Unreliable datagrams
    Ud,
    /// Reliable connections with a shared receive queue
    Srq,
}

/// One queue pair's half of the game.
struct Player {
    qp: QpId,
    to: Option<Destination>,
    /// A message of ours is under way.
    sends: bool,
    /// One of theirs is due.
    awaits: bool,
}

pub fn run(arguments: &Arguments) -> Result<(), Trouble> {
    let mut local = Local::open(arguments.address, &arguments.device)?;
    let mut game = Game::set_up(&mut local, arguments)?;
    let ours = game.places(&mut local, arguments)?;
    match arguments.to {
        Some(to) => {
            let mut stream = connect(SocketAddr::new(to, arguments.port))?;
            let theirs = exchange(&mut stream, &ours, true)?;
            stream.write_all(b"done\0")?;
            game.connect(&mut local, arguments, &ours, &theirs)?;
            game.serve(&mut local)?;
        }
        None => {
            let listener = TcpListener::bind(SocketAddr::new(arguments.address, arguments.port))?;
            println!("listening at {}", listener.local_addr()?);
            let (mut stream, _) = listener.accept()?;
            let theirs = exchange(&mut stream, &ours, false)?;
            game.connect(&mut local, arguments, &ours, &theirs)?;
            tell(&mut stream, &ours)?;
            stream.read_exact(&mut [0; 5])?;
        }
    }
    game.play(&mut local, arguments.iterations)?;
    local.close()
}

/// Connects to a server that may not listen yet.
fn connect(to: SocketAddr) -> Result<TcpStream, Trouble> {
    let end = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(to) {
            Ok(stream) => return Ok(stream),
            Err(why) if Instant::now() >= end => return Err(why.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// All queue pairs.
struct Game {
    kind: Kind,
    size: u32,
    memory: Buffer,
    queue: ReceiveQueue,
    players: Vec<Player>,
}

impl Game {
    fn set_up(local: &mut Local, arguments: &Arguments) -> Result<Self, Trouble> {
        let Arguments { kind, size, .. } = *arguments;
        let memory = local.station.memory(u64::from(size + SENDER_LEN), Access::LOCAL_WRITE)?;
        let own = Receives::Own { entries: RECEIVES, sges: 1 };
        let (transport, receives, count) = match kind {
            Kind::Rc => (Transport::ReliableConnection, own, 1),
            Kind::Uc => (Transport::UnreliableConnection, own, 1),
            Kind::Ud => (Transport::UnreliableDatagram, own, 1),
            Kind::Srq => {
                let srq =
                    local.station.device.create_srq(verbs::station::OWNER, local.station.pd, RECEIVES, 1)?;
                (Transport::ReliableConnection, Receives::Shared(srq), arguments.queue_pairs)
            }
        };
        let mut players = Vec::new();
        for _ in 0..count {
            let qp = local.station.queue_pair(transport, receives, 4, Access::NONE)?;
            if kind == Kind::Ud {
                let initialize = Transition::Initialize { access: Access::NONE, queue_key: QUEUE_KEY };
                local.station.device.modify_qp(qp, &initialize)?;
            }
            players.push(Player { qp, to: None, sends: false, awaits: true });
        }
        let queue = match receives {
            Receives::Own { .. } => ReceiveQueue::Own(players[0].qp),
            Receives::Shared(srq) => ReceiveQueue::Shared(srq),
        };
        let game = Self { kind, size, memory, queue, players };
        for _ in 0..RECEIVES {
            game.receive(local);
        }
        Ok(game)
    }

    /// What is told over TCP; where receives are shared always 256 lines.
    fn places(&self, local: &mut Local, arguments: &Arguments) -> Result<Vec<Place>, Trouble> {
        let address = arguments.address;
        let mut places = Vec::new();
        for player in &self.players {
            let info = local.station.device.query_qp(player.qp).ok_or("no queue pair")?;
            let psn = local.station.env.entropy() as u32 & 0xff_ffff;
            places.push(Place { qpn: info.qpn, psn, address });
        }
        if self.kind == Kind::Srq {
            places.resize(SHARED_LINES, Place { qpn: 0, psn: 0, address });
        }
        Ok(places)
    }

    fn connect(
        &mut self,
        local: &mut Local,
        arguments: &Arguments,
        ours: &[Place],
        theirs: &[Place],
    ) -> Result<(), Trouble> {
        let mtu = arguments.device.mtu()?;
        for (player, (our, their)) in self.players.iter_mut().zip(ours.iter().zip(theirs)) {
            let Place { qpn, psn, address } = *their;
            let peer = (self.kind != Kind::Ud).then_some(Peer {
                address,
                qpn,
                psn,
                mtu,
                responder_resources: 1,
                rnr_timer: 12,
            });
            player.to = Some(Destination { address, qpn, queue_key: QUEUE_KEY });
            let send = Transition::ReadyToSend {
                psn: our.psn,
                ack_timeout: 14,
                retry_count: 7,
                rnr_retry_count: 7,
                initiator_depth: 1,
            };
            local.station.device.modify_qp(player.qp, &Transition::ReadyToReceive(peer))?;
            local.station.device.modify_qp(player.qp, &send)?;
        }
        Ok(())
    }

    /// The client begins on every queue pair.
    fn serve(&mut self, local: &mut Local) -> Result<(), Trouble> {
        (0..self.players.len()).try_for_each(|place| self.send(local, place))
    }

    fn play(&mut self, local: &mut Local, iterations: u64) -> Result<(), Trouble> {
        let (mut sent, mut received) = (0, 0);
        while sent < iterations || received < iterations {
            let done = local.done()?;
            let place = self.players.iter().position(|player| player.qp == done.qp);
            let place = place.ok_or("a completion of no queue pair")?;
            if done.kind == CompletionKind::Receive {
                let extra = if self.kind == Kind::Ud { SENDER_LEN } else { 0 };
                if done.len != self.size + extra {
                    return Err(format!("{} bytes came", done.len).into());
                }
                received += 1;
                self.receive(local);
                self.players[place].awaits = false;
            } else {
                sent += 1;
                self.players[place].sends = false;
            }
            let player = &self.players[place];
            if sent < iterations && !player.sends && !player.awaits {
                self.send(local, place)?;
            }
        }
        println!("{sent} sent, {received} received");
        Ok(())
    }

    fn receive(&self, local: &mut Local) {
        local.station.receive(self.queue, 0, &self.memory, 0, self.size + SENDER_LEN);
    }

    fn send(&mut self, local: &mut Local, place: usize) -> Result<(), Trouble> {
        let player = &mut self.players[place];
        let list = [self.memory.registered.sge(u64::from(SENDER_LEN), self.size)];
        let work = match (self.kind, player.to) {
            (Kind::Ud, Some(to)) => Work::Datagram { to, immediate: None },
            _ => Work::Send,
        };
        let request = SendRequest::new(1, work, Data::Gather(&list));
        local.station.device.post_send(player.qp, request).map_err(|rejected| rejected.why)?;
        (player.sends, player.awaits) = (true, true);
        Ok(())
    }
}

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(20);
/// Receives that wait at once.
const RECEIVES: u32 = 500;
/// The key of the originals' datagram queue pairs.
const QUEUE_KEY: u32 = 0x1111_1111;
/// Queue pairs that ibv_srq_pingpong tells of, whether it has them or not.
const SHARED_LINES: usize = 256;
/// Bytes about the sender before a datagram.
const SENDER_LEN: u32 = 40;
