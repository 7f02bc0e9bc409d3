// A proxy in front of the server, for what happens to answers on their way.
const http = require('node:http');
const { once } = require('node:events');

class Proxy {
  // Passes each request on. `answer` is run for a form once the server has carried it out; it gets the connection, and may end it.
  static async start(world, answer) {
    const proxy = new Proxy();
    proxy.server = http.createServer((request, response) => {
      const { method, headers, url } = request;
      const passed = http.request(new URL(url, world.url), { method, headers }, async (answered) => {
        // A browser repeats a request by itself where a connection that it used before was ended.
        response.writeHead(answered.statusCode, { ...answered.headers, connection: 'close' });
        if (method !== 'POST') return answered.pipe(response);
        const body = await answered.toArray();
        answer(request.socket);
        return response.end(Buffer.concat(body));
      });
      passed.on('error', () => response.destroy());
      response.on('close', () => passed.destroy());
      request.pipe(passed);
    });
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    proxy.url = `http://127.0.0.1:${proxy.server.address().port}`;
    return proxy;
  }

  stop() {
    this.server.close();
    this.server.closeAllConnections();
  }
}

module.exports = { Proxy };
