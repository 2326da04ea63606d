# Sets Debian's nginx up as the official image is: logs on standard output and error, one `server` in conf.d. Sourced by scripts/debian-image.
# shellcheck shell=bash disable=SC2154
ln -sf /dev/stdout "$root/var/log/nginx/access.log"
ln -sf /dev/stderr "$root/var/log/nginx/error.log"
rm -rf "$root"/etc/nginx/{sites-available,sites-enabled,modules-available,modules-enabled,snippets}
mkdir -p "$root/etc/nginx/conf.d" "$root/usr/share/nginx/html" "$root/var/lib/nginx" "$root/var/cache/nginx"
cat >"$root/etc/nginx/nginx.conf" <<'CONF'
user www-data;
worker_processes auto;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log;
    sendfile on;
    keepalive_timeout 65;
    include /etc/nginx/conf.d/*.conf;
}
CONF
cat >"$root/etc/nginx/conf.d/default.conf" <<'CONF'
server {
    listen 80;
    server_name localhost;
    location / {
        root /usr/share/nginx/html;
        index index.html;
    }
}
CONF
echo '<h1>Welcome to nginx!</h1>' >"$root/usr/share/nginx/html/index.html"
