// Answers every request with its method and path.
addEventListener("fetch", (event) => {
  const { method, url } = event.request;
  const text = `JavaScript answers ${method} ${new URL(url).pathname}\n`;
  event.respondWith(new Response(text, { headers: { "content-type": "text/plain" } }));
});
