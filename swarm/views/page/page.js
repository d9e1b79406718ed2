{const d=document,t=d.getElementById('t'),f=d.getElementById('f'),h=[...t.tHead.rows[0].cells],b=t.tBodies[0],r=[...b.rows],
i=f.querySelector('input'),o=f.querySelector('output');f.hidden=false;
i.oninput=()=>{const q=i.value.toLowerCase();let n=0;for(const x of r)n+=!(x.hidden=!x.textContent.toLowerCase().includes(q));
o.value=q?`${n} of ${r.length}`:''};
h.forEach((c,n)=>{const k=d.createElement('button');k.textContent=c.textContent;c.replaceChildren(k);k.onclick=()=>{
const s=c.ariaSort=='descending'||!n&&c.ariaSort!='ascending'?1:-1;for(const x of h)x.ariaSort='none';
c.ariaSort=s>0?'ascending':'descending';const v=x=>x.cells[n].dataset.v??x.cells[n].textContent;
r.sort((x,y)=>s*v(x).localeCompare(v(y),'en',{numeric:true})||0);
c.className=='n'&&r.sort((x,y)=>s*(v(x)-v(y)));b.append(...r)}})}
