import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Random;

/** A server of echoes whose channels never wait, and clients that use channels, streams and files. */
final class Streams {
    private static final int ROUNDS = 200;

    public static void main(String[] words) throws Exception {
        InetSocketAddress at = new InetSocketAddress("127.0.0.1", Integer.parseInt(words[1]));
        switch (words[0]) {
            case "serve" -> serve(at);
            case "selector" -> selector(at);
            case "threads" -> threads(at);
            case "transfer" -> transfer(at);
            case "half" -> half(at);
            default -> throw new IllegalArgumentException(words[0]);
        }
    }

    /** One thread, one selector; each connection's bytes wait in a buffer until the client takes them. */
    private static void serve(InetSocketAddress at) throws Exception {
        Selector selector = Selector.open();
        ServerSocketChannel listener = ServerSocketChannel.open().bind(at);
        listener.configureBlocking(false);
        listener.register(selector, SelectionKey.OP_ACCEPT);
        while (true) {
            selector.select();
            for (SelectionKey key : selector.selectedKeys()) {
                if (key.isAcceptable()) {
                    SocketChannel channel = listener.accept();
                    channel.configureBlocking(false);
                    channel.register(selector, SelectionKey.OP_READ, ByteBuffer.allocateDirect(1 << 16));
                } else if (!echo(key)) {
                    key.channel().close();
                }
            }
            selector.selectedKeys().clear();
        }
    }

    private static boolean echo(SelectionKey key) throws Exception {
        SocketChannel channel = (SocketChannel) key.channel();
        ByteBuffer waiting = (ByteBuffer) key.attachment();
        boolean hasEnded = key.isReadable() && channel.read(waiting) < 0;
        waiting.flip();
        channel.write(waiting);
        boolean isAllSent = !waiting.hasRemaining();
        waiting.compact();
        int wanted = waiting.hasRemaining() ? SelectionKey.OP_READ : 0;
        key.interestOps(isAllSent ? wanted : wanted | SelectionKey.OP_WRITE);
        return !hasEnded;
    }

    private static byte[] bytes(int length) {
        byte[] bytes = new byte[length];
        new Random(length).nextBytes(bytes);
        return bytes;
    }

    /** Several connections of one thread, each with one message under way. */
    private static void selector(InetSocketAddress at) throws Exception {
        Selector selector = Selector.open();
        int open = 10;
        int[] turns = new int[open];
        ByteBuffer[] got = new ByteBuffer[open];
        for (int number = 0; number < open; number++) {
            SocketChannel channel = SocketChannel.open();
            channel.configureBlocking(false);
            channel.connect(at);
            channel.register(selector, SelectionKey.OP_CONNECT, number);
        }
        while (open > 0) {
            if (selector.select(30_000) == 0) throw new AssertionError("nothing happens");
            for (SelectionKey key : selector.selectedKeys()) {
                int number = (Integer) key.attachment();
                SocketChannel channel = (SocketChannel) key.channel();
                if (key.isConnectable()) {
                    check(channel.finishConnect());
                } else {
                    check(channel.read(got[number]) > 0);
                    if (got[number].hasRemaining()) continue;
                    check(Arrays.equals(got[number].array(), bytes(got[number].capacity())));
                    turns[number]++;
                }
                if (turns[number] == ROUNDS) {
                    channel.close();
                    open--;
                    continue;
                }
                int length = 1 + turns[number] * 37 % 3000;
                got[number] = ByteBuffer.allocate(length);
                ByteBuffer sent = ByteBuffer.wrap(bytes(length));
                while (sent.hasRemaining()) channel.write(sent);
                key.interestOps(SelectionKey.OP_READ);
            }
            selector.selectedKeys().clear();
        }
    }

    /** One thread writes what another reads back; a read that is limited in time ends in time. */
    private static void threads(InetSocketAddress at) throws Exception {
        for (int turn = 0; turn < 4; turn++) {
            try (Socket socket = new Socket()) {
                socket.connect(at);
                byte[] sent = bytes(3_000_000);
                OutputStream out = socket.getOutputStream();
                InputStream in = socket.getInputStream();
                Thread writer = new Thread(() -> {
                    try {
                        out.write(sent);
                    } catch (java.io.IOException problem) {
                        throw new java.io.UncheckedIOException(problem);
                    }
                });
                writer.start();
                check(Arrays.equals(in.readNBytes(sent.length), sent));
                writer.join();
                socket.setSoTimeout(100);
                try {
                    in.read();
                    throw new AssertionError("a byte that nobody sent");
                } catch (SocketTimeoutException expected) {
                    check(socket.isConnected());
                }
            }
        }
    }

    /** From a file to a channel, and from a channel to a file. */
    private static void transfer(InetSocketAddress at) throws Exception {
        byte[] content = bytes(5_000_000);
        Path from = Files.write(Path.of("from"), content);
        Path to = Path.of("to");
        try (SocketChannel channel = SocketChannel.open(at);
                FileChannel source = FileChannel.open(from);
                FileChannel sink = FileChannel.open(to, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            // Both know each other before the file goes.
            channel.write(ByteBuffer.wrap(new byte[] {1}));
            check(channel.read(ByteBuffer.allocate(1)) == 1);
            Thread writer = new Thread(() -> {
                try {
                    for (long done = 0; done < content.length;) {
                        done += source.transferTo(done, content.length - done, channel);
                    }
                } catch (java.io.IOException problem) {
                    throw new java.io.UncheckedIOException(problem);
                }
            });
            writer.start();
            for (long done = 0; done < content.length;) {
                done += sink.transferFrom(channel, done, content.length - done);
            }
            writer.join();
        }
        check(Arrays.equals(Files.readAllBytes(to), content));
    }

    private static void half(InetSocketAddress at) throws Exception {
        for (int turn = 0; turn < 50; turn++) {
            try (SocketChannel channel = SocketChannel.open(at)) {
                channel.write(ByteBuffer.wrap(bytes(100)));
                ByteBuffer got = ByteBuffer.allocate(100);
                while (got.hasRemaining()) check(channel.read(got) > 0);
                channel.shutdownOutput();
                check(channel.read(ByteBuffer.allocate(1)) == -1);
            }
        }
    }

    private static void check(boolean isTrue) {
        if (!isTrue) throw new AssertionError();
    }
}
