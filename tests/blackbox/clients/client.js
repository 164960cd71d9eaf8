// SPDX-License-Identifier: MIT

// A client of npm's ssh2: client PORT KEY KEX HOSTKEY CIPHER MAC VERB [COMMAND]. "-" leaves the choice to the library. VERB is
// exec, shell (its input is ours), pty, forward: the first bytes of what answers at the guest's own port 22, remote THERE HERE:
// what the guest's port THERE gives it, which leads to HERE of this host, or sftp: our input goes to the file COMMAND and comes
// back from it. The status is the command's; 255 without one.
'use strict';
const fs = require('fs');
const net = require('net');
const { Client } = require('ssh2');

const [port, key, kex, hostkey, cipher, mac, verb, ...words] = process.argv.slice(2);
const client = new Client();
const named = Object.entries({ kex, serverHostKey: hostkey, cipher, hmac: mac }).filter(([, name]) => name !== '-');

function failed(error) {
	process.stderr.write(`${error.message}\n`);
	process.exitCode = 255;
	client.end();
}

// What is done with the result of a call that may fail.
function good(then) {
	return (error, ...results) => (error ? failed(error) : then(...results));
}

const session = good((stream) => {
	process.exitCode = 255;
	stream.on('exit', (status) => { process.exitCode = status === null ? 255 : status; });
	stream.on('close', () => client.end());
	stream.stderr.pipe(process.stderr);
	stream.pipe(process.stdout);
	if (verb === 'shell')
		process.stdin.pipe(stream);
});

const verbs = {
	exec: () => client.exec(words[0], session),
	shell: () => client.shell(false, session),
	pty: () => client.exec(words[0], { pty: { term: 'vt100', cols: 77, rows: 33 } }, session),
	forward: () => client.forwardOut('127.0.0.1', 1, '127.0.0.1', 22, good((stream) => {
		stream.once('data', (data) => {
			process.stdout.write(data);
			client.end();
		});
	})),
	remote: () => client.forwardIn('127.0.0.1', Number(words[0]), good(() => {
		client.exec(`nc 127.0.0.1 ${words[0]} </dev/null`, session);
	})),
	sftp: () => client.sftp(good((files) => {
		files.writeFile(words[0], fs.readFileSync(0), good(() => files.readFile(words[0], good((data) => {
			process.stdout.write(data);
			client.end();
		}))));
	})),
};

client.on('tcp connection', (details, accept) => net.connect(Number(words[1]), '127.0.0.1').pipe(accept()));
client.on('connect', () => client.setNoDelay());
client.on('error', failed);
client.on('ready', verbs[verb]);
client.connect({
	host: '127.0.0.1', port: Number(port), username: 'root', privateKey: fs.readFileSync(key), readyTimeout: 60000,
	algorithms: Object.fromEntries(named.map(([axis, name]) => [axis, [name]])),
});
