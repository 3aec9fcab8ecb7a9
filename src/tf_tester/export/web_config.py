"""Configuration of the servers that a published tree is meant for. Text to be put somewhere.

What they have to do: choose between HTML and JSON by what the client accepts (PEP 691, its static form), send pages
that are compressed already, and let files be cached for ever and pages for a minute.
"""

from collections.abc import Callable

_NGINX = """\
# /etc/nginx/conf.d/tf-tester.conf, at the level of http
map $http_accept $tf_tester_form {{
    default                                            index.html;
    "~application/vnd\\.pypi\\.simple\\.(v1|latest)\\+json"  index.v1_json;
}}

server {{
    listen 80;
    server_name mirror.example;
    root {root}/current;

    types {{
        text/html html;
        application/vnd.pypi.simple.v1+json v1_json;
        application/json json;
    }}
    default_type application/octet-stream;
    charset utf-8;
    absolute_redirect off;
    sendfile on;
    tcp_nopush on;

    location = / {{ return 302 /simple/; }}

    location /simple/ {{
        index $tf_tester_form;
        gzip_static on;
        gzip_vary off;
        add_header Vary "Accept, Accept-Encoding" always;
        add_header Cache-Control "public, max-age=60";
    }}

    location /packages/ {{
        add_header Cache-Control "public, max-age=31536000, immutable";
    }}

    # For bandersnatch: it wants to know that a page is no older than the list, and in one generation none is.
    location /pypi/ {{
        default_type application/json;
        add_header X-PyPI-Last-Serial 9007199254740991;
    }}
}}
"""

_CADDY = """\
# Caddyfile
mirror.example {{
    root * {root}/current

    redir / /simple/ 302
    @json {{
        path /simple/ /simple/*/
        header_regexp Accept application/vnd\\.pypi\\.simple\\.(v1|latest)\\+json
    }}
    handle @json {{
        rewrite * {{path}}index.v1_json
        header Content-Type application/vnd.pypi.simple.v1+json
        header Vary "Accept, Accept-Encoding"
        header Cache-Control "public, max-age=60"
        file_server {{
            precompressed gzip
        }}
    }}
    handle /simple/* {{
        header Vary "Accept, Accept-Encoding"
        header Cache-Control "public, max-age=60"
        file_server {{
            precompressed gzip
        }}
    }}
    handle /packages/* {{
        header Cache-Control "public, max-age=31536000, immutable"
        file_server
    }}
    handle /pypi/* {{
        header Content-Type application/json
        header X-PyPI-Last-Serial 9007199254740991
        file_server
    }}
}}
"""

_CDN = """\
// A CloudFront function for the viewer's request (runtime 2.0), in front of the bucket {root}. Others have the same:
// Cloudflare's workers, Fastly's VCL, a rewrite rule at Aliyun. Let the cache go by the address alone, and respect what
// the objects say of Cache-Control; let it compress.
function handler(event) {{
    var request = event.request;
    if (request.uri === '/' || request.uri === '/simple' || /^\\/simple\\/[^\\/]+$/.test(request.uri)) {{
        var to = request.uri === '/' ? '/simple/' : request.uri + '/';
        if (!/index\\.(html|v1_json)\\/$/.test(to)) {{
            return {{ statusCode: 301, headers: {{ location: {{ value: to }} }} }};
        }}
    }}
    if (request.uri.endsWith('/')) {{
        var accept = request.headers.accept ? request.headers.accept.value : '';
        var json = /application\\/vnd\\.pypi\\.simple\\.(v1|latest)\\+json/.test(accept);
        request.uri += json ? 'index.v1_json' : 'index.html';
    }}
    return request;
}}
"""

_TEXTS = {"nginx": _NGINX, "caddy": _CADDY, "cdn": _CDN}
NAMES = tuple(_TEXTS)


def web_config(name: str, target: str) -> str:
    """Return the configuration of one of `NAMES`, for a tree at that folder or address."""
    text: Callable[..., str] = _TEXTS[name].format
    return text(root=target)
