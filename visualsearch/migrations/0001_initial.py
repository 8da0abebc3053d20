import django.db.models.deletion
import pgvector.django.vector
from django.db import migrations, models

from visualsearch.migrations._extension import RequireVector


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        RequireVector(),
        migrations.CreateModel(
            name='VisualIndex',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(max_length=100, verbose_name='source')),
                ('encoder', models.CharField(max_length=200, verbose_name='encoder')),
                ('fingerprint', models.CharField(max_length=64, verbose_name='fingerprint')),
                ('dimensions', models.PositiveIntegerField(verbose_name='dimensions')),
                ('metric', models.CharField(choices=[('cosine', 'cosine')], default='cosine', max_length=10, verbose_name='metric')),
                ('state', models.CharField(choices=[('building', 'building'), ('active', 'active'), ('retired', 'retired')], default='building', max_length=10, verbose_name='state')),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created')),
                ('activated_at', models.DateTimeField(editable=False, null=True, verbose_name='activated')),
            ],
            options={
                'verbose_name': 'index version',
                'verbose_name_plural': 'index versions',
                'ordering': ['source', '-pk'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'active')), fields=('source',), name='visualsearch_one_active_index')],
            },
        ),
        migrations.CreateModel(
            name='ImageEmbedding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('object_id', models.CharField(max_length=255, verbose_name='image')),
                ('state', models.CharField(choices=[('pending', 'pending'), ('indexed', 'indexed'), ('failed', 'failed')], default='pending', max_length=8, verbose_name='state')),
                ('code', models.CharField(blank=True, default='', max_length=40, verbose_name='code')),
                ('reason', models.TextField(blank=True, default='', verbose_name='reason')),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('claim', models.BigIntegerField(default=0, editable=False)),
                ('file', models.TextField(blank=True, default='', verbose_name='file')),
                ('content_hash', models.CharField(blank=True, default='', max_length=64, verbose_name='content hash')),
                ('vector', pgvector.django.vector.VectorField(editable=False, null=True, verbose_name='vector')),
                ('indexed_at', models.DateTimeField(editable=False, null=True, verbose_name='indexed')),
                ('index', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='embeddings', to='visualsearch.visualindex', verbose_name='index version')),
            ],
            options={
                'verbose_name': 'image embedding',
                'verbose_name_plural': 'image embeddings',
                'constraints': [models.UniqueConstraint(fields=('index', 'object_id'), name='visualsearch_one_row_per_image')],
            },
        ),
        # Room on each page for a changed state beside the old one: such an update then leaves every index alone.
        migrations.RunSQL(
            "ALTER TABLE visualsearch_imageembedding SET (fillfactor = 80)",
            "ALTER TABLE visualsearch_imageembedding RESET (fillfactor)",
        ),
    ]
