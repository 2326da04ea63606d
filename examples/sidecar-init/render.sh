# Renders nginx's configuration: $PORT is the application's port, $SERVER_NAME the site's name. The argument is where it goes.
set -eu
case ${PORT:-} in
  '' | *[!0-9]*) echo "PORT is no number: \`${PORT:-}\`" >&2; exit 64 ;;
esac
# Beside it and renamed: whoever looks sees all of it, or none.
cat >"$1.new" <<CONF
server {
    listen 80;
    server_name ${SERVER_NAME:-localhost};
    location / {
        proxy_pass http://127.0.0.1:$PORT;
        proxy_set_header Host \$host;
    }
}
CONF
mv "$1.new" "$1"
echo "rendered $1 for port $PORT"
