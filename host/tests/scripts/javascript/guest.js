// A plain component of the standard, made with componentize-js.

// A test that wants another version of this component changes these letters.
const VERSION = 'javascript-one';

addEventListener('fetch', (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const url = new URL(request.url);
  switch (url.pathname) {
    case '/javascript/fetch':
      return ask(url.searchParams.get('url'));
    case '/javascript/pieces':
      return new Response(pieces(Number(url.searchParams.get('count'))));
    default: {
      const body = request.method === 'POST' ? await request.text() : '';
      const email = request.headers.get('x-principal-email');
      return Response.json({ version: VERSION, body, email });
    }
  }
}

async function ask(url) {
  try {
    const answer = await fetch(url);
    return new Response(await answer.text(), { status: answer.status });
  } catch (error) {
    return new Response(String(error), { status: 502 });
  }
}

function pieces(count) {
  let number = 0;
  return new ReadableStream({
    pull(controller) {
      if (number === count) {
        controller.close();
      } else {
        controller.enqueue(new TextEncoder().encode(`${number++}\n`));
      }
    },
  });
}
