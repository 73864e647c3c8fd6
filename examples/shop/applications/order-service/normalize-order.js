// Brings an order into the form that the database expects: articles in upper case, lines of one article joined.
function execute(request) {
  const order = JSON.parse(request.body);
  const lines = new Map();
  for (const line of order.lines) {
    const article = line.article.trim().toUpperCase();
    lines.set(article, (lines.get(article) || 0) + line.quantity);
  }
  order.lines = [...lines].map(([article, quantity]) => ({ article, quantity }));
  return { statusCode: 201, body: JSON.stringify(order) };
}
