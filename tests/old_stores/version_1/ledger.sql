-- A ledger as commit 2607be9 wrote it, in version 1: the rows of a few commands, without pages.
-- `team` and `mill` are replicas; what was known of a mirror `mill` is written over. `lan` is a replica whose head a
-- download from a mirror of that name has written over. `liar` gave wrong bytes (the year was changed to 2999).

CREATE TABLE page (
    url          TEXT PRIMARY KEY,
    body         BLOB NOT NULL,
    content_type TEXT NOT NULL,
    etag         TEXT,
    fetched      TEXT NOT NULL,
    missing      INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE blob (
    sha256   TEXT PRIMARY KEY,
    filename TEXT NOT NULL,
    size     INTEGER NOT NULL,
    source   TEXT NOT NULL,
    verified TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE memo (
    kind  TEXT NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    at    TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) WITHOUT ROWID;

INSERT INTO blob VALUES ('219b08b488f847d335e9c07c5cc160b1c119522401805ec6b8f235134eeaadeb', 'bolt-1.0-py3-none-any.whl', 818, 'authority', '2026-11-29T22:33:33.438336+00:00');
INSERT INTO blob VALUES ('53937b23d9dd9fbca00aea9cc1e5dc18d8b10fbc193200b7e0e541939fea11b6', 'gear-1.0-py3-none-any.whl', 820, 'authority', '2026-11-29T22:33:41.918042+00:00');
INSERT INTO blob VALUES ('7d0df9abe357e43ddd3f83dfb14598021ed3bb0b6a9f7187d8b7ac4c39fb9c76', 'toy-1.0-py3-none-any.whl', 834, 'authority', '2026-11-29T22:33:41.914987+00:00');
INSERT INTO blob VALUES ('976efec97033e22bac873c600b30489aa628f62f80dd1524253059b7ea5a6202', 'toy-2.0-py3-none-any.whl', 832, 'authority', '2026-11-29T22:33:40.684802+00:00');
INSERT INTO memo VALUES ('auto', 'http://me:secret@127.0.0.1/simple', CAST('["tuna"]' AS BLOB), '2026-11-29T22:33:47.775644+00:00');
INSERT INTO memo VALUES ('built', 'abababababababababababababababababababababababababababababababab', CAST('{"filename": "toy.whl", "sha256": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd", "size": 9}' AS BLOB), '2026-11-29T22:33:47.775768+00:00');
INSERT INTO memo VALUES ('downloaded', 'toy', CAST('["2.0"]' AS BLOB), '2026-11-29T22:33:40.704465+00:00');
INSERT INTO memo VALUES ('dropped from mirror team', 'bolt', CAST('5' AS BLOB), '2026-11-29T22:33:34.675173+00:00');
INSERT INTO memo VALUES ('entry-points', 'abababababababababababababababababababababababababababababababab', X'5b636f6e736f6c655f736372697074735d0a', '2026-11-29T22:33:47.775698+00:00');
INSERT INTO memo VALUES ('feed', 'tuna', CAST('{"state":"filled","filled":"2026-11-01T00:00:00Z"}' AS BLOB), '2026-11-29T22:33:47.775615+00:00');
INSERT INTO memo VALUES ('interpreter', 'python-1:/usr/bin/python3:1778312132000000000:17584', CAST('{"version": "3.11.7", "implementation": "cpython", "abi": "cp311", "bits": 64, "cache_tag": "cpython-311", "prefix": "/usr"}' AS BLOB), '2026-11-29T22:33:36.663556+00:00');
INSERT INTO memo VALUES ('layer-size', '53937b23d9dd9fbca00aea9cc1e5dc18d8b10fbc193200b7e0e541939fea11b6 cpython-311', CAST('61440' AS BLOB), '2026-11-29T22:33:47.376631+00:00');
INSERT INTO memo VALUES ('layer-size', '7d0df9abe357e43ddd3f83dfb14598021ed3bb0b6a9f7187d8b7ac4c39fb9c76 cpython-311', CAST('61440' AS BLOB), '2026-11-29T22:33:47.383565+00:00');
INSERT INTO memo VALUES ('lock', '9dfc39e3ff491ce514cdb124764b66ea47499313a9d1511871fbe2ce6c2d767b', CAST('{"python":"3.11.7","resolution":"era","cutoff":"2022-03-15T00:00:00Z","pins":[{"name":"gear","version":"1.0","filename":"gear-1.0-py3-none-any.whl","sha256":"53937b23d9dd9fbca00aea9cc1e5dc18d8b10fbc193200b7e0e541939fea11b6","size":820,"url":"http://127.0.0.1:34827/files/gear-1.0-py3-none-any.whl","built_from":null,"upload_time":"2022-03-01T00:00:00Z","provenance":null,"promised_by":""},{"name":"toy","version":"1.0","filename":"toy-1.0-py3-none-any.whl","sha256":"7d0df9abe357e43ddd3f83dfb14598021ed3bb0b6a9f7187d8b7ac4c39fb9c76","size":834,"url":"http://127.0.0.1:34827/files/toy-1.0-py3-none-any.whl","built_from":null,"upload_time":"2022-03-01T00:00:00Z","provenance":null,"promised_by":""}],"remarks":[],"reason":""}' AS BLOB), '2026-11-29T22:33:45.987581+00:00');
INSERT INTO memo VALUES ('metadata', '219b08b488f847d335e9c07c5cc160b1c119522401805ec6b8f235134eeaadeb', X'4d657461646174612d56657273696f6e3a20322e310a4e616d653a20626f6c740a56657273696f6e3a20312e300a', '2026-11-29T22:33:33.516504+00:00');
INSERT INTO memo VALUES ('metadata', '53937b23d9dd9fbca00aea9cc1e5dc18d8b10fbc193200b7e0e541939fea11b6', X'4d657461646174612d56657273696f6e3a20322e310a4e616d653a20676561720a56657273696f6e3a20312e300a', '2026-11-29T22:33:33.517115+00:00');
INSERT INTO memo VALUES ('metadata', '7d0df9abe357e43ddd3f83dfb14598021ed3bb0b6a9f7187d8b7ac4c39fb9c76', X'4d657461646174612d56657273696f6e3a20322e310a4e616d653a20746f790a56657273696f6e3a20312e300a52657175697265732d446973743a20676561720a', '2026-11-29T22:33:33.517488+00:00');
INSERT INTO memo VALUES ('metadata-digest', '219b08b488f847d335e9c07c5cc160b1c119522401805ec6b8f235134eeaadeb', CAST('962742c6012755e9918894a95b73b64e580b2520579a2c6561a09e8a488b8186' AS BLOB), '2026-11-29T22:33:33.516543+00:00');
INSERT INTO memo VALUES ('metadata-digest', '53937b23d9dd9fbca00aea9cc1e5dc18d8b10fbc193200b7e0e541939fea11b6', CAST('09f3002efadb5e04314b370be6b3b7574429d6bde82cc0fc83332306160ef6e6' AS BLOB), '2026-11-29T22:33:33.517140+00:00');
INSERT INTO memo VALUES ('metadata-digest', '7d0df9abe357e43ddd3f83dfb14598021ed3bb0b6a9f7187d8b7ac4c39fb9c76', CAST('9139145bb2e69eb4a161a055259bd4f62272eac89573163bb493a771b93fe61f' AS BLOB), '2026-11-29T22:33:33.517514+00:00');
INSERT INTO memo VALUES ('metadata-digest', 'efefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef', CAST('' AS BLOB), '2026-11-29T22:33:47.775790+00:00');
INSERT INTO memo VALUES ('mirror', 'authority', CAST('{"right":7,"speed":null,"measured":null,"left_out_until":null}' AS BLOB), '2026-11-29T22:33:41.918517+00:00');
INSERT INTO memo VALUES ('mirror', 'lan', CAST('{"right":1,"speed":null,"measured":null,"left_out_until":null}' AS BLOB), '2026-11-29T22:33:37.277101+00:00');
INSERT INTO memo VALUES ('mirror', 'liar', CAST('{"right":0,"speed":null,"measured":null,"left_out_until":"2999-12-06T22:33:40.685454Z"}' AS BLOB), '2026-11-29T22:33:40.685463+00:00');
INSERT INTO memo VALUES ('mirror', 'mill', CAST('{"synced":"2026-11-29T22:33:43.167535Z","wanted":"feaaeffc2078f2b54dd732d9dbbcac05e0126a114802f3d302526c719e0a4b14","complete":true,"watched":{},"held":"ffb2632496166d1391e54aa85a203f76"}' AS BLOB), '2026-11-29T22:33:43.167565+00:00');
INSERT INTO memo VALUES ('mirror', 'team', CAST('{"synced":"2026-11-29T22:33:41.919585Z","wanted":"f2a43a4055449fef135a30055efd669122f6e60570bcf54a85a7edabdcac0ae4","complete":true,"watched":{},"held":"a206756c34f2bc862fe280b20868e31c"}' AS BLOB), '2026-11-29T22:33:41.919606+00:00');
INSERT INTO memo VALUES ('mirror lan', 'gear', X'78017551db6ee32010fd977936f670f1057f479f5a45ab01c6b515e2b8c6e92a1be5df177b57555f0a4830683817ce032eb49ea1878edaba53ae0d8d35de78ef88dbba6d2419a7acf20e0a58e89da17fc08537da775a26f1c96b9aae730690a5c93dbf22a54d245e278ad09b02b695fc3941ff06e3b62d7d5549d59698a7ecb5e9545ba5e9b244aede99d60a4ecf0266ba641ad82f32e07f8203419608a7028629f25e3f8ed3b776911bc472d762bece2c68be97bfc798316e6bd6f213ff8176d0fff47ca434ee840f4823a9bac958b5b6ba754a071b821d9c274462b2de4bae83975de89cc47c2fad5688ae65e4dae4c20e4c52ba06b2cf34fdc93e3b8505dc693e73807ea09838eb5de29582d8a6e323142a25500b942f88fdb14a3cc66bf6b6f2c76d5a3965dfdbb80731df622cc05f57167b5081fe85f5251deda011150f145ccd68b4344eb7e8b871dae5c88d5136342e70a7bcc7c1775a6ba5b1910df2d07096fe3c3d9f7f01adcfa888', '2026-11-29T22:33:35.779041+00:00');
INSERT INTO memo VALUES ('mirror mill', 'gear', X'78017551db6ee32010fd977936f670f1057f479f5a45ab01c6b515e2b8c6e92a1be5df177b57555f0a4830683817ce032eb49ea1878edaba53ae0d8d35de78ef88dbba6d2419a7acf20e0a58e89da17fc08537da775a26f1c96b9aae730690a5c93dbf22a54d245e278ad09b02b695fc3941ff06e3b62d7d5549d59698a7ecb5e9545ba5e9b244aede99d60a4ecf0266ba641ad82f32e07f8203419608a7028629f25e3f8ed3b776911bc472d762bece2c68be97bfc798316e6bd6f213ff8176d0fff47ca434ee840f4823a9bac958b5b6ba754a071b821d9c274462b2de4bae83975de89cc47c2fad5688ae65e4dae4c20e4c52ba06b2cf34fdc93e3b8505dc693e73807ea09838eb5de29582d8a6e323142a25500b942f88fdb14a3cc66bf6b6f2c76d5a3965dfdbb80731df622cc05f57167b5081fe85f5251deda011150f145ccd68b4344eb7e8b871dae5c88d5136342e70a7bcc7c1775a6ba5b1910df2d07096fe3c3d9f7f01adcfa888', '2026-11-29T22:33:39.502101+00:00');
INSERT INTO memo VALUES ('mirror team', 'gear', X'78017551db6ee32010fd977936f670f1057f479f5a45ab01c6b515e2b8c6e92a1be5df177b57555f0a4830683817ce032eb49ea1878edaba53ae0d8d35de78ef88dbba6d2419a7acf20e0a58e89da17fc08537da775a26f1c96b9aae730690a5c93dbf22a54d245e278ad09b02b695fc3941ff06e3b62d7d5549d59698a7ecb5e9545ba5e9b244aede99d60a4ecf0266ba641ad82f32e07f8203419608a7028629f25e3f8ed3b776911bc472d762bece2c68be97bfc798316e6bd6f213ff8176d0fff47ca434ee840f4823a9bac958b5b6ba754a071b821d9c274462b2de4bae83975de89cc47c2fad5688ae65e4dae4c20e4c52ba06b2cf34fdc93e3b8505dc693e73807ea09838eb5de29582d8a6e323142a25500b942f88fdb14a3cc66bf6b6f2c76d5a3965dfdbb80731df622cc05f57167b5081fe85f5251deda011150f145ccd68b4344eb7e8b871dae5c88d5136342e70a7bcc7c1775a6ba5b1910df2d07096fe3c3d9f7f01adcfa888', '2026-11-29T22:33:33.517272+00:00');
INSERT INTO memo VALUES ('mirror team', 'toy', X'78017551cdce9c300c7c179f09e40f42788e9e5aad2a8738052d0b94b0adb62bdebd8656ede94b222556ec198fe70d0fdceed0013a6b25fa24b533d29ade38ad436b1a4f326093080a58f11b41f78607ed78deb88ee2076d795c660650a5e59caf13e65d64da469ca03305ec1bf6f70cdd1718f67dedaa4a69574adeaa33b6d5aecae3639da8da975705b7a380191fcc021c33dc5ff8ab5e95126e05a471a2337e5fafffd982ffc5fa32625e661238bfca9fc3c410cf8d1bf988fc023bb93faa1e300f27dd1bf280ba6e18ca451993c740a676644d8cd1a4d6c41494ad7d2bb5a2684290a1e1693ad5bad80687bded8d4fc1f7ae011699c75f2cb235b68017ce778ad0259c3271bbebb46014fb784d414bad853442aa4f5276d729e5b53eb3b48dbe3fc78d32cbde87d384f9394d05f4cb46e23429e21fa3feb5ee95f1dc65089ad8d86051350a655debda876853a3b5d3847deb6b6754c32aac37e89c0ade246a5482e3b81dc76f1d84a6c5', '2026-11-29T22:33:33.517674+00:00');
INSERT INTO memo VALUES ('peak', 'toy', CAST('11706368' AS BLOB), '2026-11-29T22:33:46.432516+00:00');
INSERT INTO memo VALUES ('pieces', 'abababababababababababababababababababababababababababababababab', X'000040000100000002000000', '2026-11-29T22:33:47.775674+00:00');
INSERT INTO memo VALUES ('publisher', 'toy', CAST('GitHub toy/toy' AS BLOB), '2026-11-29T22:33:47.775573+00:00');
INSERT INTO memo VALUES ('result', 'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd', CAST('!' AS BLOB), '2026-11-29T22:33:47.775339+00:00');
INSERT INTO memo VALUES ('result', 'efefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefef', CAST('{"cell":"toy==1.0@py3.11@era","outcome":"pass","summary":"","hint":"","detail":"","tests":[],"phases":{},"import_s":null,"peak_rss_kib":null,"remarks":[],"replayed":"2026-11-29T22:33:47+00:00","evidence":""}' AS BLOB), '2026-11-29T22:33:47.775538+00:00');
INSERT INTO memo VALUES ('serial', 'bolt http://127.0.0.1:34827/simple', CAST('5' AS BLOB), '2026-11-29T22:33:33.418874+00:00');
INSERT INTO memo VALUES ('serial', 'gear http://127.0.0.1:34827/simple', CAST('4' AS BLOB), '2026-11-29T22:33:33.464797+00:00');
INSERT INTO memo VALUES ('serial', 'toy http://127.0.0.1:34827/simple', CAST('3' AS BLOB), '2026-11-29T22:33:33.419221+00:00');
INSERT INTO memo VALUES ('spent', 'authority', CAST('2026-11-29 5778 7' AS BLOB), '2026-11-29T22:33:41.918431+00:00');
INSERT INTO memo VALUES ('spent', 'lan', CAST('2026-11-29 832 1' AS BLOB), '2026-11-29T22:33:37.277005+00:00');
INSERT INTO memo VALUES ('spent', 'liar', CAST('2026-11-29 832 1' AS BLOB), '2026-11-29T22:33:40.685281+00:00');
INSERT INTO memo VALUES ('spent', 'mill', CAST('2026-11-29 832 1' AS BLOB), '2026-11-29T22:33:38.692981+00:00');
INSERT INTO memo VALUES ('surface', 'abababababababababababababababababababababababababababababababab', X'789c5dcbcd0a80201004e07799b3045d7d95e820b982a4abf87308f1dddba043749b61be1968e9821e383d5b68c4647b202864534ca446a542730f61aa472e357bfe70d7f9683ef1efb00db01401351359595f2fc992333d34292be63ee70d67e72ba0', '2026-11-29T22:33:47.767086+00:00');
INSERT INTO memo VALUES ('took', 'toy==1.0@py3.11@era', CAST('0.23' AS BLOB), '2026-11-29T22:33:46.432598+00:00');
PRAGMA user_version = 1;
