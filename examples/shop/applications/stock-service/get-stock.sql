SELECT s.article, s.warehouse, s.pieces - COALESCE(r.pieces, 0) AS available
FROM stock AS s
LEFT JOIN (
    SELECT article, warehouse, SUM(pieces) AS pieces
    FROM reservations
    WHERE expires_at > CURRENT_TIMESTAMP
    GROUP BY article, warehouse
) AS r ON r.article = s.article AND r.warehouse = s.warehouse
WHERE s.article = ${article}
ORDER BY available DESC;
