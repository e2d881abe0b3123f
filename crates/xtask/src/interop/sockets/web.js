// A server of http at one port and of echoes at the next, and clients for both.
'use strict';
const assert = require('assert'), crypto = require('crypto'), http = require('http'), net = require('net');
const part = process.argv[2], port = Number(process.argv[3]);
const digest = bytes => crypto.createHash('sha256').update(bytes).digest('hex');

function serve() {
    http.createServer((request, response) => {
        const pieces = [];
        request.on('data', piece => pieces.push(piece));
        request.on('end', () => {
            const body = Buffer.concat(pieces);
            response.setHeader('digest', digest(body));
            response.end(body);
        });
    }).listen(port, '127.0.0.1');
    net.createServer({ allowHalfOpen: true }, socket => {
        socket.on('error', () => {});
        socket.once('data', first => {
            if (first[0] === 'r'.charCodeAt(0)) return socket.resetAndDestroy();
            socket.write(first);
            socket.pipe(socket);
        });
    }).listen(port + 1, '127.0.0.1');
}

function post(agent, body) {
    return new Promise((resolve, reject) => {
        const request = http.request({ host: '127.0.0.1', port, agent, method: 'POST' }, response => {
            const pieces = [];
            response.on('data', piece => pieces.push(piece));
            response.on('end', () => {
                assert.strictEqual(response.headers.digest, digest(body));
                assert.ok(Buffer.concat(pieces).equals(body));
                resolve();
            });
        });
        request.on('error', reject);
        request.end(body);
    });
}

async function posts(agent) {
    const worker = async number => {
        for (let turn = 0; turn < 30; turn++) await post(agent, crypto.randomBytes((number * turn * 997) % 200000));
    };
    await Promise.all([...Array(8).keys()].map(worker));
    agent.destroy();
}

function connected() {
    return new Promise((resolve, reject) => {
        const socket = net.connect({ host: '127.0.0.1', port: port + 1, allowHalfOpen: true }, () => resolve(socket));
        socket.once('error', reject);
    });
}

// Twenty megabytes, written as fast as they are taken, and the echo compared; each end is half closed before the other.
async function pipe() {
    const socket = await connected(), sent = crypto.randomBytes(20 << 20), got = [];
    const ended = new Promise(resolve => socket.on('end', resolve));
    socket.on('data', piece => got.push(piece));
    socket.end(sent);
    await ended;
    assert.ok(Buffer.concat(got).equals(sent));
}

async function half() {
    for (let turn = 0; turn < 50; turn++) {
        const socket = await connected();
        socket.write(`e${turn}`);
        await new Promise(resolve => socket.once('data', resolve));
        socket.end();
        await new Promise(resolve => { socket.on('end', resolve); socket.resume(); });
    }
}

async function reset() {
    const socket = await connected();
    const error = new Promise(resolve => socket.on('error', resolve));
    socket.write('r');
    assert.strictEqual((await error).code, 'ECONNRESET');
}

const parts = {
    serve, pipe, half, reset,
    http: () => posts(new http.Agent({ keepAlive: false })),
    kept: () => posts(new http.Agent({ keepAlive: true, maxSockets: 4 })),
};
Promise.resolve(parts[part]()).catch(error => { console.error(error); process.exit(1); });
