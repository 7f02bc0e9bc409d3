// A server as people have it, and the command line beside it.
const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');

const PASSWORD = 'correct horse 7';

// What would be markup, or a script, if it were not escaped
const HOSTILE = {
  first_name: '"><script>alert(1)</script>',
  last_name: "'><img src=x onerror=alert(2)>",
  title: '</title></textarea><script>alert(3)</script>{{7*7}}',
  agent: 'Mozilla/5.0 <script>alert(4)</script> "><img src=x onerror=alert(5)>',
};

// A name of an account that has to be escaped; white space, / # and : are not allowed in it
const hostile = (name) => `"><b>&amp;'${name}`;

const person = (username, more = {}) => ({ type: 'user', username, password: PASSWORD, ...more });

function records() {
  const names = { first_name: HOSTILE.first_name, last_name: HOSTILE.last_name };
  const people = ['tour', 'plain', 'shown'].map((name) => person(hostile(name), { ...names, email: `o'${name}&x@example.org` }));
  const everybody = people.map(({ username }) => username);
  const titles = ['engineering', 'release planning for the autumn and everything that goes with it', '社内のお知らせ', 'مجموعة العمل', '🎉 party'];
  const groups = Array.from({ length: 30 }, (_, number) => ({ name: `group-${number + 1}`, title: titles[30 - number - 1] ?? HOSTILE.title }));
  return [
    ...people,
    ...['ann', 'bob', 'carol', 'dave', 'lone'].map((name) => person(name)),
    ...groups.map((group) => ({ type: 'conversation', ...group, creator: everybody[2], participants: [...everybody, 'ann', 'bob'] })),
    ...everybody.map((sender, number) => ({ type: 'message', key: `said-${number}`, conversation: 'group-30', sender, content: HOSTILE.title })),
  ];
}

class World {
  constructor(folder, program) {
    Object.assign(this, { folder, program, bind: '127.0.0.1:0' });
    fs.writeFileSync(path.join(folder, 'world.json'), JSON.stringify(records()));
    this.run('data', 'apply', 'world.json');
  }

  // Runs a command; returns what it printed.
  run(...args) {
    const options = { cwd: this.folder, env: { HOME: this.folder, USER: 'root' }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] };
    return execFileSync(this.program, [...args, '--db', 'test.db'], options);
  }

  // Starts the server, the second time where it was before.
  async start() {
    const args = ['serve', '--ready-json', '--db', 'test.db', '--bind', this.bind, '--logins', '0'];
    const options = { cwd: this.folder, env: { HOME: this.folder, USER: 'root' }, stdio: ['ignore', 'pipe', fs.openSync(path.join(this.folder, 'log'), 'a')] };
    this.server = spawn(this.program, args, options);
    const [line] = await once(readline.createInterface({ input: this.server.stdout }), 'line');
    this.url = JSON.parse(line).url;
    this.bind = new URL(this.url).host;
  }

  async kill() {
    const ended = once(this.server, 'exit');
    this.server.kill('SIGKILL');
    await ended;
  }
}

module.exports = { World, PASSWORD, HOSTILE, hostile };
